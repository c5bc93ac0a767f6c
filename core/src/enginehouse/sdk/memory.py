"""Memory: what is known of a model before it is loaded, from which an engine says how much it will take."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class MemoryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a device, not loaded yet.

    weights: bytes by type of number as the files store them ("F32", "BF16", "I8", ...; "" where unknown).
    context_length: tokens that prompt and answer may take together, as asked for; None when unknown.
    cache_numbers: numbers that one token leaves in the cache of keys and values, all layers together.
    hidden_size, vocabulary: of the model; None when its config does not say.
    device: "cpu", "cuda", "mps". free_bytes: what can be had there now; None when nobody knows.
    """

    weights: dict[str, int]
    context_length: int | None = None
    cache_numbers: int | None = None
    hidden_size: int | None = None
    vocabulary: int | None = None
    device: str = "cpu"
    free_bytes: int | None = None

    @property
    def weight_bytes(self) -> int:
        return sum(self.weights.values())


class EstimateMemory(Protocol):
    """Bytes that a worker of this engine will take, by component, when it is as busy as its options allow.

    options: an instance of the engine's options struct. Components are the engine's own words, but
    "libraries" is always in the machine's memory and never in an accelerator's. A component that cannot be
    known from `facts` is left out. Pure, quick, and importing nothing heavy: it runs in the server.
    """

    def __call__(self, facts: MemoryFacts, options: Any) -> dict[str, int]: ...
