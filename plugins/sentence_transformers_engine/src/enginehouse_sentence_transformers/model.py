"""A loaded model: sequences in, rows out. What sentence-transformers' modules compute, without its way around them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from .words import Tokens

Features = dict[str, Any]
Row = Any
"""float32 numbers of one vector as a numpy array, a score as one, or weights by token id."""


class Result(NamedTuple):
    """row: see Row. tokens: that the model read of this input."""

    row: Row
    tokens: int


class Model(NamedTuple):
    """modules: run one after the other on the features. read: makes rows of the features, given the batch.

    preprocess: features of raw inputs; None where the model has no processor of its own. pad: id that fills up.
    has_types: whether the model reads segments. packed: numbers of packed layers (packing.py), which each token meets.
    """

    modules: tuple[Callable[[Features], Features], ...]
    read: Callable[[Features, Sequence[Tokens], Hashable], Sequence[Row]]
    device: torch.device
    pad: int = 0
    has_types: bool = False
    preprocess: Callable[[list[Any], Hashable], Features] | None = None
    packed: int = 0

    def run(self, batch: Sequence[Tokens], kind: Hashable) -> list[Result]:
        """One row for each sequence of the batch, in order. Runs on a thread that computes."""
        with torch.inference_mode():
            features = self._features(batch, kind)
            for module in self.modules:
                features = module(features)
            rows = self.read(features, batch, kind)
        if batch[0].raw is None:
            return [Result(row, len(tokens.ids)) for row, tokens in zip(rows, batch, strict=True)]
        return [Result(row, count) for row, count in zip(rows, _counts(features, len(batch)), strict=True)]

    def _features(self, batch: Sequence[Tokens], kind: Hashable) -> Features:
        if batch[0].raw is not None:
            assert self.preprocess is not None
            made = self.preprocess([tokens.raw for tokens in batch], kind)
            return {key: self._moved(value) for key, value in made.items()}
        longest = max(len(tokens.ids) for tokens in batch)
        ids = np.full((len(batch), longest), self.pad, dtype=np.int64)
        mask = np.zeros((len(batch), longest), dtype=np.int64)
        types = np.zeros((len(batch), longest), dtype=np.int64) if self.has_types else None
        for line, tokens in enumerate(batch):
            length = len(tokens.ids)
            ids[line, :length] = tokens.ids
            mask[line, :length] = 1
            if types is not None and tokens.types is not None:
                types[line, :length] = tokens.types
        features: Features = {"input_ids": self._tensor(ids), "attention_mask": self._tensor(mask), "modality": "text"}
        if types is not None:
            features["token_type_ids"] = self._tensor(types)
        if batch[0].prompt:
            features["prompt_length"] = batch[0].prompt
        return features

    def _tensor(self, values: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)

    def _moved(self, value: Any) -> Any:
        return value.to(self.device) if isinstance(value, torch.Tensor) else value


def _counts(features: Features, rows: int) -> list[int]:
    """Tokens of each raw input, as its processor made them; images have none."""
    mask, offsets = features.get("attention_mask"), features.get("offsets")
    if mask is not None:
        counted: list[int] = mask.sum(dim=-1).tolist()
        return counted
    if offsets is not None:  # embeddings of words without context: all in one row
        bounds = [*offsets.tolist(), features["input_ids"].numel()]
        return [high - low for low, high in pairwise(bounds)]
    return [0] * rows


def vectors(features: Features, batch: Sequence[Tokens], kind: Hashable) -> Sequence[Row]:
    """Rows of dense vectors."""
    return list(features["sentence_embedding"].float().cpu().numpy())


def vocabulary_weights(features: Features, batch: Sequence[Tokens], kind: Hashable) -> Sequence[Row]:
    """Rows of weights by token id, from a vector as long as the vocabulary."""
    made = features["sentence_embedding"]
    made = (made.to_dense() if made.is_sparse else made).float().cpu().numpy()
    rows = []
    for line in made:
        (places,) = np.nonzero(line)
        rows.append({str(place): float(line[place]) for place in places.tolist()})
    return rows


def scores(features: Features, batch: Sequence[Tokens], kind: Hashable) -> Sequence[Row]:
    """One number a pair, as the model gives it."""
    return list(features["scores"].float().reshape(len(batch), -1)[:, 0].cpu().numpy())


class LexicalHead:
    """Weights by token id beside dense vectors, for models with a linear layer for it (the form of BGE-M3)."""

    def __init__(self, layer: torch.nn.Linear, left_out: frozenset[int]) -> None:
        self._layer = layer
        self._left_out = left_out

    def __call__(self, features: Features, batch: Sequence[Tokens], kind: Hashable) -> Sequence[Row]:
        if kind != SPARSE:
            return vectors(features, batch, kind)
        states = features["token_embeddings"]
        weights = torch.relu(self._layer(states.to(self._layer.weight.dtype))).squeeze(-1).float().cpu().tolist()
        return [self._row(tokens.ids, line) for tokens, line in zip(batch, weights, strict=True)]

    def _row(self, ids: Sequence[int], weights: Sequence[float]) -> dict[str, float]:
        """The greatest weight of each token; `ids` are shorter than `weights`, which are padded."""
        row: dict[str, float] = {}
        for token, weight in zip(ids, weights, strict=False):
            if weight > 0 and token not in self._left_out:
                key = str(token)
                row[key] = max(weight, row.get(key, 0.0))
        return row


SPARSE = "sparse"
"""The kind of sequences that shall become weights by token."""
