"""How much memory keys and values get on a CPU: what the launch says, else what a handful of sequences need."""

from __future__ import annotations

GIB = 2**30
SEQUENCES = 16  # of the whole context, that nobody has to ask for
MOST = 4 * GIB
UNKNOWN = 4 * GIB  # for a model that does not say what a token takes: vLLM's own figure
BLOCK = 128  # tokens: vLLM gives memory out in blocks of so many on a CPU, and keeps one of them
SPARE = 4 * BLOCK


def cache_bytes(gib: float, numbers: int | None, context: int | None, width: int) -> int:
    """Bytes. numbers: that a token leaves. context: tokens of one sequence. width: bytes of a number."""
    if gib:
        return int(gib * GIB)
    if numbers is None or context is None:
        return UNKNOWN
    one = numbers * width * (context + SPARE)
    return max(one, min(SEQUENCES * one, MOST))
