"""Routes of downloaded weights: list them, say their files, remove them."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from ..host.house import House
from ..host.weight_cache import (
    CachedWeights,
    files_of,
    find_cached,
    forget_drafts,
    list_weights,
    remove_aside,
    set_aside,
)
from . import schemas
from .permissions import needs
from .surface import TheHouse, answer, errors

router = APIRouter(prefix="/v1/cache/models", tags=["models"])

HERE = "127.0.0.1"  # all weights lie on the server's own machine
_UNKNOWN = errors(e404="There are no such weights.")


@router.get(
    "", response_model=schemas.CachedModels, operation_id="list_cached_models", summary="List downloaded weights"
)
@needs("read")
async def list_cached_models(house: TheHouse, model_name: str | None = None, worker_ip: str | None = None) -> Response:
    """With their bytes on the disk and who uses them, those whose download is not complete too."""
    weights = await _weights(house)
    shown = [one for one in weights if model_name is None or one.model_name.lower() == model_name.lower()]
    return answer({"list": [_item(one) for one in shown]})


@router.get(
    "/files",
    response_model=schemas.CachedFiles,
    operation_id="list_cached_files",
    summary="What removing weights would delete",
    responses=_UNKNOWN,
)
@needs("read")
async def list_cached_files(house: TheHouse, model_version: str, worker_ip: str | None = None) -> Response:
    """Paths of all files. `model_version` as the list says it, or the URI."""
    weights = find_cached(await _weights(house), model_version)
    paths = await asyncio.to_thread(files_of, weights)
    return answer({"model_version": weights.model_version, "worker_ip": HERE, "paths": paths, "bytes": weights.bytes})


@router.delete(
    "",
    response_model=schemas.CacheRemoved,
    operation_id="remove_cached_model",
    summary="Remove downloaded weights",
    responses={**_UNKNOWN, **errors(e409="A model is declared with them.")},
)
@needs("admin")
async def remove_cached_model(house: TheHouse, model_version: str, worker_ip: str | None = None) -> Response:
    """Frees their bytes. Weights with which a model is declared are not removed."""
    weights = find_cached(await _weights(house), model_version)
    aside = set_aside(weights, _used(house))
    await asyncio.to_thread(remove_aside, aside)
    await asyncio.to_thread(forget_drafts, house.settings.home, weights, _used(house))
    return answer({"result": True, "bytes": weights.bytes})


async def _weights(house: House) -> list[CachedWeights]:
    return await asyncio.to_thread(list_weights, house.settings.home, house.catalog.families, _used(house))


def _used(house: House) -> dict[str, str]:
    """The URIs of the models that are declared, by uid."""
    views = house.deployments.views()
    return {view.model_uid: view.source for view in views if view.source and view.status != "ERROR"}


def _item(weights: CachedWeights) -> dict[str, object]:
    return {**msgspec.to_builtins(weights), "real_path": weights.path, "actor_ip_address": HERE}
