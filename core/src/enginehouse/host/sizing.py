"""What a model takes on any machine and with any engine: its weights, and the cache of one sequence."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..sdk import BadRequest, EnginehouseError, ModelFamily, Variant, parse_hub_reference, size_in_billions
from .contributions import Contributions
from .drafts import DRAFTS_FOLDER
from .memory import Holdings, look_at_weights, read_config
from .model_config import ModelShape, shape_of
from .weights import fetch_weights
from .whereabouts import find_weights

CONFIG = "config.json"


class SizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. size: parameters in billions, in any spelling. cache_bits: of a number in the cache."""

    size: int | float | str
    model_format: str
    quantization: str = "none"
    context_length: int
    cache_bits: int = 16


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes. kv_cache is None when the model's config could not be had; `missing` says why."""

    weights: int
    kv_cache: int | None
    total: int
    basis: str
    context_length: int
    missing: str | None = None


def choose_variant(family: ModelFamily, request: SizeRequest) -> Variant:
    """The variant that is asked for. Raises BadRequest with those that there are."""
    for variant in family.variants:
        if (
            variant.format == request.model_format.lower()
            and variant.quantization.lower() == request.quantization.lower()
            and size_in_billions(variant.size_in_billions) == size_in_billions(request.size)
        ):
            return variant
    have = "; ".join(f"{v.format} {v.size_in_billions} {v.quantization}" for v in family.variants)
    raise BadRequest(f"{family.name} has no such variant. It has (format, size, quantization): {have}.")


async def calculate_sizes(variant: Variant, request: SizeRequest, contributions: Contributions, home: Path) -> Sizes:
    """Reads weights that are here; of a model on a hub at most config.json is fetched, a few kilobytes, once."""
    source = variant.sources[0]
    place = find_weights(source, contributions, home, variant.weight_bytes).path
    held, missing = look_at_weights(variant, Path(place) if place else None), None
    if held.shape.cache_numbers is None:
        shape, missing = await _fetch_shape(source, contributions, home)
        held = msgspec.structs.replace(held, shape=shape)
    return _sizes(held, request, missing)


def _sizes(held: Holdings, request: SizeRequest, missing: str | None) -> Sizes:
    weights, numbers = sum(held.weights.values()), held.shape.cache_numbers
    cache = None if numbers is None else numbers * request.context_length * request.cache_bits // 8
    return Sizes(
        weights=weights,
        kv_cache=cache,
        total=weights + (cache or 0),
        basis=held.basis,
        context_length=request.context_length,
        missing=None if cache is not None else missing or "Its config.json does not say how its attention is built.",
    )


async def _fetch_shape(source: str, contributions: Contributions, home: Path) -> tuple[ModelShape, str | None]:
    """The shape from a hub's config.json, or an empty one and the reason."""
    scheme, _, text = source.partition(":")
    try:
        reference = msgspec.structs.replace(parse_hub_reference(text), patterns=(CONFIG,))
        folder = await fetch_weights(f"{scheme}:{reference}", contributions, home, lambda progress: None, DRAFTS_FOLDER)
    except EnginehouseError as error:
        return ModelShape(), error.message
    return shape_of(read_config(folder)), None
