"""The running batch: sequences that join and leave at every step, over one cache of slots.

Two kinds of step. `decode` extends every running sequence by one token in one forward pass. `prefill` reads the
prompts of joiners, short ones together, a long one in chunks, so that running answers never wait for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence as Rows
from typing import Any, Protocol

import torch

from .adapters import Adapters
from .sequences import Sequence
from .slots import LENGTH_STEP, Aim, SlotStore

Mask = torch.Tensor | dict[str, torch.Tensor]
KEPT_BYTES = 256 * 2**20  # of an idle cache; more is given back when the last answer ends
FULL, SLIDING = "full_attention", "sliding_attention"


class Batch(Protocol):
    """What the scheduler drives: the slotted batch, or sequences one by one."""

    running: list[Sequence]

    def joining(self) -> list[Sequence]:
        """Whose prompts are being read now; nobody else may join meanwhile."""

    def admit(self, waiting: deque[Sequence]) -> None:
        """Takes from the front of `waiting` what may join now."""

    def prefill(self) -> tuple[list[Sequence], torch.Tensor] | None:
        """Reads the next chunk of the joiners' prompts; when done, they run, with logits [joiners, vocabulary]."""

    def make_room(self) -> list[Sequence]:
        """Stops running the youngest sequences when memory is short for a step of all; they shall wait again."""

    def decode(self) -> torch.Tensor:
        """Extends what runs: logits [running, vocabulary]."""

    def drop(self, gone: Rows[Sequence]) -> None:
        """Forgets sequences that run or are being read."""

    def clear(self) -> None:
        """Forgets all, and gives the cache's memory back."""


class SlottedBatch:
    """`running` are slots 0 to n-1, joiners whose prompts are being read the slots behind them."""

    def __init__(
        self,
        model: Any,
        adapters: Adapters,
        store: SlotStore,
        windows: dict[str, int | None],
        most: int,
        chunk: int,
    ) -> None:
        self.running: list[Sequence] = []
        self._joining: list[Sequence] = []
        self._read = 0
        self._model = model
        self._adapters = adapters
        self._store = store
        self._windows = windows
        self._most = most
        self._chunk = chunk
        self._device = model.device
        self._float_mask = model.dtype if model.config._attn_implementation == "eager" else None

    def limit(self, budget: int | None) -> None:
        """Most bytes of keys and values from now on."""
        self._store.budget = budget

    def joining(self) -> list[Sequence]:
        return list(self._joining)

    def admit(self, waiting: deque[Sequence]) -> None:
        longest, reach = 0, max((len(sequence.ids) for sequence in self.running), default=0)
        while waiting and (count := len(self.running) + len(self._joining)) < self._most:
            length = len(waiting[0].ids)
            longest, reach = max(longest, length), max(reach, length)
            if self._joining and longest * (len(self._joining) + 1) > self._chunk:
                break
            if count and not self._store.fits(count + 1, reach + LENGTH_STEP):
                break
            self._joining.append(waiting.popleft())
        self._read = 0

    def seat(self, sequences: list[Sequence]) -> None:
        """Makes `sequences` the joiners, whoever waits."""
        self._joining = sequences
        self._read = 0

    def prefill(self) -> tuple[list[Sequence], torch.Tensor] | None:
        group, start = self._joining, self._read
        lengths = [len(sequence.ids) for sequence in group]
        stop = min(start + self._chunk, max(lengths)) if len(group) == 1 else max(lengths)
        first = len(self.running)
        self._store.reserve(first + len(group), stop)
        self._store.aim = Aim(first, len(group), start, None, None, stop)
        ids = torch.tensor([_padded(sequence.ids[start:stop], stop - start) for sequence in group])
        positions = torch.arange(start, stop, device=self._device)[None].expand(len(group), -1)
        ends = sorted({length - 1 - start for length in lengths}) if stop == max(lengths) else [stop - 1 - start]
        self._adapters.use([sequence.adapter for sequence in group])
        logits = self._forward(ids.to(self._device), positions, stop, ends)
        self._read = stop
        if stop < max(lengths):
            return None
        places = [ends.index(length - 1 - start) for length in lengths]
        self._joining = []
        self.running += group
        return group, logits[torch.arange(len(group)), places]

    def make_room(self) -> list[Sequence]:
        stopped: list[Sequence] = []
        while len(self.running) > 1 and not self._fits():
            stopped.append(self.running[-1])
            self._leave(len(self.running) - 1)
        return stopped

    def _fits(self) -> bool:
        rows = [*self.running, *self._joining]
        return self._store.fits(len(rows), max(len(sequence.ids) for sequence in rows))

    def decode(self) -> torch.Tensor:
        lengths = [len(sequence.ids) for sequence in self.running]
        count, longest = len(lengths), max(lengths)
        self._store.reserve(count, longest)
        positions = torch.tensor(lengths).sub_(1).to(self._device)
        if count == 1:
            self._store.aim = Aim(0, 1, longest - 1, None, None, longest)
        else:
            self._store.aim = Aim(0, count, None, torch.arange(count, device=self._device), positions, longest)
        ids = torch.tensor([[sequence.ids[-1]] for sequence in self.running]).to(self._device)
        self._adapters.use([sequence.adapter for sequence in self.running])
        return self._forward(ids, positions[:, None], longest, [0])[:, 0]

    def drop(self, gone: Rows[Sequence]) -> None:
        for sequence in gone:
            if sequence in self.running:
                self._leave(self.running.index(sequence))
            elif sequence in self._joining:
                # All joiners begin anew without it: rare (a client that left within its first step).
                self._joining.remove(sequence)
                self._read = 0
        if not self.running and not self._joining and self._store.size > KEPT_BYTES:
            self._store.free()

    def clear(self) -> None:
        self.running, self._joining, self._read = [], [], 0
        self._store.free()

    def _leave(self, slot: int) -> None:
        last = len(self.running) - 1
        if slot != last:
            self._store.move(last, slot, len(self.running[last].ids))
            self.running[slot] = self.running[last]
        del self.running[last]
        if self._joining and self._read:  # only one that is read in chunks can be here
            self._store.move(last + 1, last, self._read)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, longest: int, ends: list[int]) -> torch.Tensor:
        """Logits [rows, ends, vocabulary] at the columns `ends` of `ids`."""
        whole = ends == list(range(ids.shape[1]))
        out = self._model(
            input_ids=ids,
            attention_mask=self._masks(positions, longest),
            position_ids=positions,
            past_key_values=self._store.cache,
            use_cache=True,
            logits_to_keep=0 if whole else torch.tensor(ends, device=self._device),
        )
        logits: torch.Tensor = out.logits
        return logits

    def _masks(self, positions: torch.Tensor, longest: int) -> Mask:
        masks = {kind: self._mask(positions, longest, window) for kind, window in self._windows.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _mask(self, positions: torch.Tensor, longest: int, window: int | None) -> torch.Tensor:
        """What each token may look at: [rows, 1, tokens, longest], True (or 0 when eager) where it may."""
        places = torch.arange(longest, device=self._device)
        mask = places <= positions[:, :, None]
        if window is not None:
            mask &= places > positions[:, :, None] - window
        if self._float_mask is None:
            return mask[:, None]
        least = torch.finfo(self._float_mask).min
        return torch.zeros(mask.shape, dtype=self._float_mask, device=self._device).masked_fill_(~mask, least)[:, None]


def _padded(ids: list[int], length: int) -> list[int]:
    return ids + [0] * (length - len(ids))
