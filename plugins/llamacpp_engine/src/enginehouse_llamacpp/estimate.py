"""How much memory a worker will take. Light: runs in the server, which has no llama.cpp."""

from __future__ import annotations

from enginehouse.sdk import MemoryFacts

from .options import LARGEST_DEFAULT, LlamaCppOptions

MIB = 2**20
LIBRARIES = 60 * MIB  # interpreter, runner and library, loaded with the smallest model; decision 0160
DEVICE_CONTEXT = 400 * MIB  # what CUDA takes for a process before the first tensor, in round figures
LOGIT_BYTES = 4
STEP_NUMBERS = 24  # numbers that a step holds for each of its tokens, in units of the hidden size
CACHE_BYTES = {
    **{"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32},
    **{"q5_0": 22 / 32, "q4_1": 20 / 32, "q4_0": 18 / 32, "iq4_nl": 18 / 32},
}
"""Bytes of a number, the scales of its block included."""


def estimate_memory(facts: MemoryFacts, options: LlamaCppOptions) -> dict[str, int]:
    """Components in bytes: the weights as they lie in the file, and all caches, which are allocated at once."""
    components = {"weights": facts.weight_bytes, "libraries": LIBRARIES}
    if facts.device == "cuda":
        components["device_context"] = DEVICE_CONTEXT
    if facts.hidden_size and facts.vocabulary:
        step = options.n_ubatch * facts.hidden_size * STEP_NUMBERS + options.n_parallel * facts.vocabulary
        components["step"] = step * LOGIT_BYTES
    if facts.cache_numbers and facts.context_length:
        length = options.n_ctx or min(facts.context_length, LARGEST_DEFAULT)
        width = (CACHE_BYTES[options.cache_type_k] + CACHE_BYTES[options.cache_type_v]) / 2
        components["kv_cache"] = int(facts.cache_numbers * length * options.n_parallel * width)
    return components
