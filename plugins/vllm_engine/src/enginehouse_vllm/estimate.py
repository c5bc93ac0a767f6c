"""How much memory a worker will take. Light: runs in the server, which has no torch."""

from __future__ import annotations

from enginehouse.sdk import MemoryFacts

from .cache import cache_bytes
from .options import VllmOptions

MIB = 2**20
LIBRARIES = 1100 * MIB  # both processes, vLLM imported and warm on a CPU: 1195 MiB resident, 935 beside another worker
UTILIZATION = 0.9  # of a device's memory, that vLLM takes whatever the model
WIDTHS = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}
STORED = {"F32": 4, "BF16": 2, "F16": 2}


def estimate_memory(facts: MemoryFacts, options: VllmOptions) -> dict[str, int]:
    """Components in bytes. On a device the cache takes all that vLLM may have and the weights do not need."""
    width = _width(facts, options)
    weights = sum(size * width // STORED.get(kind, width) for kind, size in facts.weights.items())
    components = {"weights": weights, "libraries": LIBRARIES}
    if facts.device != "cpu":
        share = options.gpu_memory_utilization or UTILIZATION
        if facts.free_bytes is not None:
            components["kv_cache"] = max(0, int(facts.free_bytes * share) - weights)
    elif facts.cache_numbers:
        context = options.max_model_len or facts.context_length
        components["kv_cache"] = cache_bytes(options.kv_cache_gib, facts.cache_numbers, context, width)
    return components


def _width(facts: MemoryFacts, options: VllmOptions) -> int:
    """Bytes of a number in arithmetic: float32 stays so on a CPU only."""
    if options.dtype != "auto":
        return WIDTHS[options.dtype]
    stored = max((kind for kind in facts.weights if kind in STORED), key=facts.weights.__getitem__, default="BF16")
    return STORED[stored] if facts.device == "cpu" else 2
