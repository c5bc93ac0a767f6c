"""Linear layers whose weights lie in memory as the processor's kernels read them (decision 0151). On a CPU.

PyTorch brings a layer's weights into that order again for each product, which for a single sentence takes about as long
as the product. Here it is done once. The operators are those that PyTorch's own compiler emits for a frozen model
(`torch/_inductor/fx_passes/mkldnn_fusion.py`); whether a model gives the same with them is tried when it is loaded.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .model import Model, Row
from .words import Words

LEAST_OUTPUTS = 16  # a layer with fewer would be filled up to that many
MOST_ROWS = 1024  # of one product: more are several, for each number of rows leaves a kernel in memory
# Kernels are made for each number of rows, up to a MiB for a layer's shape, and stay. So numbers are rounded up:
# (rows up to which, to a multiple of what).
GRID = ((32, 4), (256, 16), (MOST_ROWS, 64))
TRIAL = ("a", "one two three")  # of two lengths, so that padding is tried, too
TOLERANCE = 1e-3  # of the greatest number: sums in another order differ by 1e-6, a wrong weight by far more

_log = logging.getLogger(__name__)


class PackedLinear(torch.nn.Module):
    """A linear layer. (..., in_features) float32 gives (..., out_features) float32."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bias = layer.bias
        # A plain attribute: nothing that goes through a model's parameters could read this order.
        self.weight: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        parts = [self._product(part) for part in torch.split(states.reshape(-1, self.in_features), MOST_ROWS)]
        made = parts[0] if len(parts) == 1 else torch.cat(parts)
        return made.view(*states.shape[:-1], self.out_features)

    def _product(self, rows: torch.Tensor) -> torch.Tensor:
        count = len(rows)
        more = rounded(count) - count
        if more:
            rows = torch.nn.functional.pad(rows, (0, 0, 0, more))
        made: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return made[:count]

    def unpacked(self) -> torch.nn.Linear:
        """The layer that it was made from."""
        layer = torch.nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        layer.weight = torch.nn.Parameter(self.weight.to_dense(), requires_grad=False)
        layer.bias = self.bias
        return layer.eval()


def rounded(rows: int) -> int:
    """The number of rows of the kernel for so many."""
    step = next(step for most, step in GRID if rows <= most)
    return -(-rows // step) * step


def pack(model: Model, roots: Sequence[Any], words: Words | None) -> Model:
    """The model with the layers of these modules packed, in place.

    Nothing is changed where that cannot be tried, is not for this machine, or changes what the model says.
    """
    if words is None or model.device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return model
    places = list(_places([root for root in roots if isinstance(root, torch.nn.Module)]))
    try:
        plain = _tried(model, words)
        numbers = sum(place.pack() for place in places)
        if _alike(plain, _tried(model, words)):
            return model._replace(packed=numbers)
        _log.warning("With packed weights this model says something else; they stay as they are.")
    except Exception as error:  # noqa: BLE001 - a model's own code may read weights, and PyTorch may lack these operators
        _log.warning("The model's weights cannot be packed (%s); they stay as they are.", error)
    for place in places:
        place.unpack()
    return model


class _Place(NamedTuple):
    """Where a layer is; the layer itself is not held, for its weights would lie in memory twice."""

    parent: torch.nn.Module
    name: str

    def pack(self) -> int:
        """Numbers of the layer."""
        layer = getattr(self.parent, self.name)
        setattr(self.parent, self.name, PackedLinear(layer))
        return int(layer.in_features * layer.out_features)

    def unpack(self) -> None:
        layer = getattr(self.parent, self.name)
        if isinstance(layer, PackedLinear):
            setattr(self.parent, self.name, layer.unpacked())


def _places(roots: Sequence[torch.nn.Module]) -> Iterator[_Place]:
    """Layers that can be packed: weights that something else reads, too, stay."""
    owners = Counter(id(one) for root in roots for _, one in root.named_parameters(remove_duplicate=False))
    for root in roots:
        for parent in root.modules():
            for name, layer in parent.named_children():
                if type(layer) is torch.nn.Linear and _fits(layer) and owners[id(layer.weight)] == 1:
                    yield _Place(parent, name)


def _fits(layer: torch.nn.Linear) -> bool:
    return layer.weight.dtype == torch.float32 and layer.out_features >= LEAST_OUTPUTS


def _tried(model: Model, words: Words) -> list[Row]:
    batch = [words.frame(ids, words.limit) for ids in words.encode(TRIAL)]
    return [result.row for result in model.run(batch, None)]


def _alike(first: Sequence[Row], second: Sequence[Row]) -> bool:
    pairs = [_numbers(one, other) for one, other in zip(first, second, strict=True)]
    return all(np.abs(one - other).max() <= TOLERANCE * max(np.abs(one).max(), 1e-6) for one, other in pairs)


def _numbers(one: Row, other: Row) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Two rows as numbers that stand at the same places."""
    if isinstance(one, dict):
        keys = sorted({*one, *other}) or ("none",)
        return np.array([one.get(key, 0.0) for key in keys]), np.array([other.get(key, 0.0) for key in keys])
    return np.atleast_1d(one), np.atleast_1d(other)
