"""How much memory a worker will take. Light: runs in the server, which has no torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from enginehouse.sdk import MemoryFacts

from .options import Lora, TransformersOptions

MIB = 2**20
LIBRARIES = 340 * MIB  # interpreter, runner, torch and transformers, imported and warm on a CPU; decision 0070
PEFT = 20 * MIB  # the library itself, imported; measured 10 to 15
ADAPTER = "adapter_model.safetensors"
DEVICE_CONTEXT = 600 * MIB  # what CUDA takes for a process before the first tensor, in round figures
SHARE_OF_CPU = 0.5  # of what is free goes to keys and values, as in memory.py
SHARE_OF_DEVICE = 0.85
CHUNK_ON_CPU, CHUNK = 512, 2048  # prompt tokens in one step, as in probing.py
STEP_NUMBERS = 12  # numbers that a step holds for each token, in units of the hidden size: states, q, k, v, MLP
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
STORED = {"F32": 4, "BF16": 2, "F16": 2}
_FLAGS = {"BF16": ("avx512_bf16", "amx_bf16", "bf16"), "F16": ("avx512_fp16", "amx_fp16", "asimdhp")}
_CPUINFO = Path("/proc/cpuinfo")


def estimate_memory(facts: MemoryFacts, options: TransformersOptions) -> dict[str, int]:
    """Components in bytes. The cache: `max_batch` sequences of the whole context, but no more than its budget,
    and never less than one sequence, without which no request of that length could be answered."""
    width = _width(facts, options)
    components = {"weights": _weights(facts, width), "libraries": LIBRARIES}
    if facts.device == "cuda":
        components["device_context"] = DEVICE_CONTEXT
    if options.loras:
        components["adapters"] = sum(map(_adapter, options.loras)) + PEFT
    if facts.hidden_size and facts.vocabulary:
        components["step"] = _step(facts, options, width)
    if facts.cache_numbers and facts.context_length:
        free = None if facts.free_bytes is None else max(0, facts.free_bytes - sum(components.values()))
        components["kv_cache"] = _cache(facts.cache_numbers * facts.context_length * width, options, facts, free)
    return components


def _width(facts: MemoryFacts, options: TransformersOptions) -> int:
    """Bytes of a number in arithmetic."""
    if options.dtype != "auto":
        return WIDTHS[options.dtype]
    stored = max((kind for kind in facts.weights if kind in STORED), key=facts.weights.__getitem__, default="BF16")
    if facts.device == "cpu" and stored in _FLAGS and not _has_half(stored):
        return WIDTHS["float32"]
    return STORED[stored]


@cache
def _has_half(stored: str) -> bool:
    """Whether this CPU computes in that half precision by itself; else the engine loads in float32."""
    if not _CPUINFO.exists():
        return False
    lines = (line for line in _CPUINFO.read_text().splitlines() if line.startswith(("flags", "Features")))
    return bool(set(next(lines, "").split()) & set(_FLAGS[stored]))


def _weights(facts: MemoryFacts, width: int) -> int:
    """Floating-point weights are converted on loading; quantized ones, and those of unknown kind, stay as they are."""
    return sum(size * width // STORED.get(kind, width) for kind, size in facts.weights.items())


def _adapter(lora: Lora) -> int:
    """Bytes of its file; peft holds adapters in the precision that they are stored in, or above."""
    path = Path(lora.local_path).expanduser() / ADAPTER
    return path.stat().st_size if path.is_file() else 0


def _step(facts: MemoryFacts, options: TransformersOptions, width: int) -> int:
    chunk = options.prefill_chunk or (CHUNK_ON_CPU if facts.device == "cpu" else CHUNK)
    chunk = min(chunk, facts.context_length or chunk)
    states = chunk * (facts.hidden_size or 0) * STEP_NUMBERS * width
    return (
        states + options.max_batch * (facts.vocabulary or 0) * 2 * WIDTHS["float32"]
    )  # logits and a copy to draw from


def _cache(sequence: int, options: TransformersOptions, facts: MemoryFacts, free: int | None) -> int:
    most = sequence * options.max_batch
    share = SHARE_OF_CPU if facts.device == "cpu" else SHARE_OF_DEVICE
    budget = int(options.cache_gib * 2**30) or (most if free is None else int(free * share))
    return max(sequence, min(most, budget))
