"""Vectors and rankings by llama.cpp's C functions: many inputs a step, one step at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import llama_cpp.llama_cpp as ll
import numpy as np

from enginehouse.sdk import BadRequest

from ..binding import Vectors
from .library import Batch, Model

RANKS = ll.LLAMA_POOLING_TYPE_RANK


class VectorMaker:
    """A context that makes vectors. size: tokens of the longest input; slots: inputs of a step at most."""

    def __init__(self, model: Model, context: Any, size: int, slots: int) -> None:
        self._model, self._context, self._size, self._slots = model, context, size, slots
        self._memory = ll.llama_get_memory(context)
        self._batch = Batch(size)
        self._turn = threading.Lock()
        ranks = ll.llama_pooling_type(context) == RANKS
        count = ll.llama_model_n_cls_out(model.pointer) if ranks else ll.llama_model_n_embd_out(model.pointer)
        self._numbers: int = count

    def make(self, inputs: Sequence[str | list[int]], *, normal: bool) -> Vectors:
        """Raises BadRequest for what is too long, EngineFailed."""
        ids = [self._model.tokenize(one, add_special=True) if isinstance(one, str) else one for one in inputs]
        for one in ids:
            if not 0 < len(one) <= self._size or not all(0 <= token < self._model.size for token in one):
                raise BadRequest(
                    f"An input has {len(one)} tokens; give 1 to {self._size}, each from 0 to {self._model.size - 1}."
                )
        rows: list[Sequence[float]] = []
        with self._turn:
            for group in self._groups(ids):
                rows += self._step(group, normal)
        return Vectors(rows, sum(map(len, ids)))

    def close(self) -> None:
        self._batch.close()
        ll.llama_free(self._context)

    def _groups(self, ids: list[list[int]]) -> Iterator[list[list[int]]]:
        """Inputs that fit into a step together."""
        group: list[list[int]] = []
        for one in ids:
            if group and (len(group) == self._slots or sum(map(len, group)) + len(one) > self._size):
                yield group
                group = []
            group.append(one)
        yield group

    def _step(self, group: list[list[int]], normal: bool) -> Iterator[list[float]]:
        self._batch.clear()
        if self._memory:
            ll.llama_memory_clear(self._memory, True)
        for number, ids in enumerate(group):
            for place, token in enumerate(ids):
                self._batch.add(token, place, number, wanted=True)
        self._batch.decode(self._context)
        for number in range(len(group)):
            pointer = ll.llama_get_embeddings_seq(self._context, number)
            row = np.array(pointer[: self._numbers], dtype=np.float32)
            length = float(np.linalg.norm(row)) if normal else 1.0
            yield (row / (length or 1.0)).tolist()
