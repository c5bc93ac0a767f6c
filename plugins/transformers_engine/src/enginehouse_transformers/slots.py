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

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.keys = _empty(key_states, self._store.slots, self._store.length)
        self.values = _empty(value_states, self._store.slots, self._store.length)
        self.is_initialized = True

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
    """The cache of a whole model. `cache` is what its forward takes as `past_key_values`."""

    def __init__(self, layers: int, most_slots: int, most_length: int | None) -> None:
        self._most_slots = most_slots
        self._most_length = most_length
        self.slots = 0
        self.length = 0
        self.aim = Aim(0, 0, 0, None, None, 0)
        self._layers = [SlotLayer(self) for _ in range(layers)]
        self.cache = Cache(layers=list(self._layers))

    def reserve(self, slots: int, length: int) -> None:
        """Makes room for `slots` sequences of `length` tokens. Raises torch's error when memory is short."""
        if slots <= self.slots and length <= self.length:
            return
        before = self.slots, self.length
        if slots > self.slots:
            self.slots = min(self._most_slots, max(slots, 2 * self.slots, LEAST_SLOTS))
        if length > self.length:
            self.length = self._longer(length)
        try:
            for layer in self._layers:
                layer.resize()
        except BaseException:
            self.slots, self.length = before
            self.free()
            raise

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


def _grown(old: torch.Tensor, slots: int, length: int) -> torch.Tensor:
    new = _empty(old, slots, length)
    new[: old.shape[0], :, : old.shape[2]] = old
    return new


def _write(storage: torch.Tensor, states: torch.Tensor, aim: Aim) -> torch.Tensor:
    last = aim.first + aim.rows
    if aim.start is not None:
        storage[aim.first : last, :, aim.start : aim.start + states.shape[2]] = states
    else:
        storage[aim.places, :, aim.positions] = states[:, :, 0]
    return storage[aim.first : last, :, : aim.longest]
