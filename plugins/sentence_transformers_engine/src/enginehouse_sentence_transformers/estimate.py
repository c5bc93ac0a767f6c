"""How much memory a worker will take. Light: runs in the server, which has no torch."""

from __future__ import annotations

from enginehouse.sdk import MemoryFacts

from .options import SentenceTransformersOptions

MIB = 2**20
LIBRARIES = 480 * MIB  # interpreter, runner, torch, transformers, sentence-transformers, imported and warm on a CPU
KERNELS = 96 * MIB  # for products of all numbers of rows, on a CPU; whatever the size of the model (decision 0151)
DEVICE_CONTEXT = 600 * MIB  # what CUDA takes for a process before the first tensor, in round figures
BATCH_ON_CPU, BATCH = 1024, 16_384  # tokens of a batch, as in loading.py
STEP_NUMBERS = 24  # numbers that a batch holds for each token, in units of the hidden size: states, q, k, v, MLP
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
STORED = {"F32": 4, "BF16": 2, "F16": 2}


def estimate_memory(facts: MemoryFacts, options: SentenceTransformersOptions) -> dict[str, int]:
    """Components in bytes. No cache of keys and values is kept: an input is read once."""
    on_cpu = facts.device == "cpu"
    components = {"weights": _weights(facts, options, on_cpu), "libraries": LIBRARIES}
    if on_cpu and options.backend == "torch":
        components["kernels"] = KERNELS
    if facts.device == "cuda":
        components["device_context"] = DEVICE_CONTEXT
    if facts.hidden_size:
        tokens = max(options.max_batch_tokens or (BATCH_ON_CPU if on_cpu else BATCH), facts.context_length or 0)
        components["batch"] = tokens * facts.hidden_size * STEP_NUMBERS * WIDTHS["float32"]
    return components


def _weights(facts: MemoryFacts, options: SentenceTransformersOptions, on_cpu: bool) -> int:
    """Floating-point weights are converted on loading; those of unknown kind stay as they are."""
    if options.int8:
        return sum(size // STORED.get(kind, 4) for kind, size in facts.weights.items())
    width = 4 if on_cpu else None
    if options.dtype != "auto":
        width = WIDTHS[options.dtype]
    if width is None:
        return facts.weight_bytes
    return sum(size * width // STORED.get(kind, width) for kind, size in facts.weights.items())
