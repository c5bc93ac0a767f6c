"""Sequences one by one, each with a cache of its own, for models whose cache has no rows that can be shared.

So Mamba, hybrids, and whatever else keeps more than keys and values answers correctly, step by step in turn.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Sequence as Rows
from typing import Any

import torch

from .adapters import Adapters
from .sequences import Sequence

_CACHES = ("past_key_values", "cache_params")


class SerialBatch:
    """The same shape as SlottedBatch; a step runs the model once for each sequence."""

    def __init__(self, model: Any, adapters: Adapters, most: int) -> None:
        self.running: list[Sequence] = []
        self._joining: list[Sequence] = []
        self._model = model
        self._adapters = adapters
        self._most = most
        accepted = inspect.signature(model.forward).parameters
        self._cache = next((name for name in _CACHES if name in accepted), None)
        self._more = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._is_told_where = self._cache == "cache_params" and "cache_position" in accepted  # as in transformers 4

    def joining(self) -> list[Sequence]:
        return list(self._joining)

    def admit(self, waiting: deque[Sequence]) -> None:
        if waiting and len(self.running) < self._most:
            self._joining.append(waiting.popleft())

    def prefill(self) -> tuple[list[Sequence], torch.Tensor] | None:
        group = self._joining
        logits = self._step(group[0])
        self._joining = []
        self.running += group
        return group, logits

    def make_room(self) -> list[Sequence]:
        return []

    def decode(self) -> torch.Tensor:
        return torch.cat([self._step(sequence) for sequence in self.running])

    def drop(self, gone: Rows[Sequence]) -> None:
        for sequence in gone:
            sequence.past = None
        self.running = [sequence for sequence in self.running if sequence not in gone]
        self._joining = [sequence for sequence in self._joining if sequence not in gone]

    def clear(self) -> None:
        self.drop([*self.running, *self._joining])

    def _step(self, sequence: Sequence) -> torch.Tensor:
        """Logits [1, vocabulary] behind a sequence's last token."""
        has_past = sequence.past is not None
        ids = torch.tensor([sequence.ids[-1:] if has_past else sequence.ids], device=self._model.device)
        known = {self._cache: sequence.past} if self._cache and has_past else {}
        if has_past and self._is_told_where:
            known["cache_position"] = torch.tensor([len(sequence.ids) - 1], device=self._model.device)
        self._adapters.use([sequence.adapter])
        out = self._model(input_ids=ids, use_cache=self._cache is not None, **known, **self._more)
        sequence.past = out.get(self._cache) if self._cache else None
        logits: torch.Tensor = out.logits
        return logits[:, -1]
