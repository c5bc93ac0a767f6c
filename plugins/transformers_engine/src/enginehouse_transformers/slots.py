"""A key-value cache of slots: one row for each sequence, each with a length of its own.

The batch is always the slots 0 to n-1, so a step reads views, never copies. What lies behind a row's length is
stale and hidden by the mask; it is never NaN, because storage begins as zeros.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

LEAST_SLOTS = 4
LEAST_LENGTH = 128
LENGTH_STEP = 64  # tokens; lengths are multiples of it, so that storage grows rarely


class Aim(NamedTuple):
    """Where the next forward pass writes and reads.

    first, rows: its slots. start: position of its first token when that is the same for all rows, else None.
    places, positions: int64 [rows], where each row writes its one token (when `start` is None).
    longest: how many positions are read.
    """

    first: int
    rows: int
    start: int | None
    places: torch.Tensor | None
    positions: torch.Tensor | None
    longest: int


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, [slots, heads, length, size of a head]."""

    is_sliding = False

    def __init__(self, store: SlotStore) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store = store
        self.bytes_per_token = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys = _empty(key_states, self._store.slots, self._store.length)
        self.values = _empty(value_states, self._store.slots, self._store.length)
        self.is_initialized = True
        self.bytes_per_token = _width(key_states) + _width(value_states)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        aim = self._store.aim
        return _write(self.keys, key_states, aim), _write(self.values, value_states, aim)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._store.aim.longest, 0

    def get_seq_length(self) -> int:
        return self._store.aim.start or 0

    def get_max_length(self) -> int:
        return -1

    def get_max_cache_shape(self) -> int:
        """The same, as transformers 4 calls it."""
        return -1

    def resize(self) -> None:
        """Grows to the store's size, keeping what is there."""
        if self.keys is not None and self.values is not None:
            self.keys = _grown(self.keys, self._store.slots, self._store.length)
            self.values = _grown(self.values, self._store.slots, self._store.length)

    def move(self, source: int, target: int, length: int) -> None:
        if self.keys is not None and self.values is not None:
            self.keys[target, :, :length] = self.keys[source, :, :length]
            self.values[target, :, :length] = self.values[source, :, :length]

    def free(self) -> None:
        self.keys = self.values = None
        self.is_initialized = False


class SlotStore:
    """The cache of a whole model. `cache` is what its forward takes as `past_key_values`.

    budget: most bytes of keys and values; None for no limit.
    """

    def __init__(self, layers: int, most_slots: int, most_length: int | None) -> None:
        self._most_slots = most_slots
        self._most_length = most_length
        self.budget: int | None = None
        self.slots = 0
        self.length = 0
        self.aim = Aim(0, 0, 0, None, None, 0)
        self._layers = [SlotLayer(self) for _ in range(layers)]
        self.cache = Cache(layers=list(self._layers))

    def fits(self, slots: int, length: int) -> bool:
        """Whether the budget holds `slots` sequences of `length` tokens."""
        return self.budget is None or slots * length * self.bytes_per_token <= self.budget

    @property
    def bytes_per_token(self) -> int:
        """Known once the model has run."""
        return sum(layer.bytes_per_token for layer in self._layers)

    @property
    def size(self) -> int:
        """Bytes that are held now."""
        return self.slots * self.length * self.bytes_per_token

    def reserve(self, slots: int, length: int) -> None:
        """Makes room for `slots` sequences of `length` tokens. Raises torch's error when memory is short."""
        if slots <= self.slots and length <= self.length:
            return
        self.slots, self.length = self._shape(slots, length)
        try:
            for layer in self._layers:
                layer.resize()
        except BaseException:  # whatever it was, half-resized caches are of no use
            self.free()
            raise

    def _shape(self, slots: int, length: int) -> tuple[int, int]:
        """Slots and length to have: generous where the budget allows it, so that growing is rare."""
        wide = self.slots if slots <= self.slots else min(self._most_slots, max(slots, 2 * self.slots, LEAST_SLOTS))
        long = self.length if length <= self.length else self._longer(length)
        shapes = ((wide, long), (slots, long), (wide, length), (slots, length))
        return next((shape for shape in shapes if self.fits(*shape)), (slots, length))

    def _longer(self, length: int) -> int:
        wanted = max(length, self.length + self.length // 2, LEAST_LENGTH)
        wanted = -(-wanted // LENGTH_STEP) * LENGTH_STEP
        return wanted if self._most_length is None else max(length, min(wanted, self._most_length))

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` tokens of one slot over another."""
        for layer in self._layers:
            layer.move(source, target, length)

    def free(self) -> None:
        """Gives all memory back; what was cached is gone."""
        self.slots = self.length = 0
        for layer in self._layers:
            layer.free()


def _empty(states: torch.Tensor, slots: int, length: int) -> torch.Tensor:
    return states.new_zeros((slots, states.shape[1], length, states.shape[3]))


def _width(states: torch.Tensor) -> int:
    return states.shape[1] * states.shape[3] * states.element_size()


def _grown(old: torch.Tensor, slots: int, length: int) -> torch.Tensor:
    new = _empty(old, slots, length)
    kept, shared = min(slots, old.shape[0]), min(length, old.shape[2])
    new[:kept, :, :shared] = old[:kept, :, :shared]
    return new


def _write(storage: torch.Tensor, states: torch.Tensor, aim: Aim) -> torch.Tensor:
    last = aim.first + aim.rows
    if aim.start is not None:
        storage[aim.first : last, :, aim.start : aim.start + states.shape[2]] = states
    else:
        storage[aim.places, :, aim.positions] = states[:, :, 0]
    return storage[aim.first : last, :, : aim.longest]
