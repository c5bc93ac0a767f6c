"""The split: which combinations are kept for the evaluation and never trained on."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2s
from random import Random

HELD_OUT_EVERY = 12
"""One combination in this many is held out."""


@lru_cache(maxsize=1 << 18)
def is_held_out(key: str) -> bool:
    """Whether a combination belongs to the evaluation; the same on every machine."""
    digest = blake2s(key.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_EVERY == 0


class Pool:
    """Items of one kind, each either trained on or held out."""

    def __init__(self, kind: str, items: Sequence[str]) -> None:
        self.kind = kind
        self.trained = [item for item in items if not is_held_out(f"{kind}|{item}")]
        self.held = [item for item in items if is_held_out(f"{kind}|{item}")]

    def pick(self, rng: Random, held: bool) -> str:
        """One item of the asked side of the split."""
        return rng.choice(self.held if held else self.trained)

    def key(self, item: str) -> str:
        """The name of this item in the split."""
        return f"{self.kind}|{item}"
