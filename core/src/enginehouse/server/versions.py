"""Routes of a model's versions: each variant by one name, and launching by that name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.cached import lie_here
from ..host.house import House
from ..host.launch_request import parse_launch
from ..host.weight_cache import list_weights, version_of
from ..sdk import BadRequest, ModelFamily, Variant
from . import schemas
from .errors import UnknownModel
from .gate import note_model
from .models import read_json, until_ready, wish_to_wait
from .nodes import address_of
from .paths import check_reachable
from .permissions import needs
from .surface import TheGrounds, TheHouse, answer, described_body, errors

router = APIRouter(prefix="/v1/models", tags=["models"])

Json = dict[str, Any]


@router.get(
    "/{model_type}/{model_name:text}/versions",
    response_model=list[schemas.ModelVersion],
    operation_id="list_model_versions",
    summary="List the variants of a model by name",
    responses=errors(e400="There is no such model, or no such type."),
)
@needs("read")
async def list_model_versions(model_type: str, model_name: str, request: Request, house: TheHouse) -> Response:
    """Of one that a plugin brings or a user registered; each with where its weights lie, when they lie here."""
    family = house.catalog.family(model_type, model_name)
    if family is None:
        raise UnknownModel(
            f"There is no {model_type} model {model_name!r}. All: GET /v1/model_registrations/{model_type}.",
            param="model_name",
        )
    return answer(await asyncio.to_thread(_describe, house, family, address_of(request)))


@router.post(
    "/instance",
    response_model=schemas.Launched,
    operation_id="launch_version",
    summary="Launch a model by its version's name",
    responses=errors(
        e400="There is no such version, the launch is wrong, or no engine can run it.",
        e409="The uid is taken.",
        e499="The launch was cancelled.",
        e503="The model did not come up.",
    ),
    openapi_extra=described_body(schemas.VersionToLaunch),
)
@needs("admin")
async def launch_version(request: Request, grounds: TheGrounds, wait_ready: bool | None = None) -> Response:
    """As `POST /v1/models`, with `model_version` in place of name, format, size and quantization."""
    body = await read_json(request, grounds)
    if not isinstance(body, dict):
        raise BadRequest("The body of a launch must be a JSON object with `model_version`.")
    launch = parse_launch(_by_fields(grounds.house, body))
    check_reachable(launch)
    note_model(request, launch.model_uid or launch.model_name)
    wait = wish_to_wait(body) if wait_ready is None else wait_ready
    uid = await grounds.house.deployments.launch(launch)
    if wait:
        await until_ready(grounds, uid)
    return answer({"model_uid": uid})


def _by_fields(house: House, body: Json) -> Json:
    """The body of a launch that names the variant by its fields."""
    version, kind = body.get("model_version"), body.get("model_type") or "LLM"
    if not isinstance(version, str) or not isinstance(kind, str):
        raise BadRequest("Say which version to launch: `model_version` must be a text.", param="model_version")
    family, variant = _find(house, kind, version)
    rest = {key: value for key, value in body.items() if key != "model_version"}
    return {
        **rest,
        "model_name": family.name,
        "model_format": variant.format,
        "model_size_in_billions": variant.size_in_billions,
        "quantization": variant.quantization,
    }


def _find(house: House, kind: str, version: str) -> tuple[ModelFamily, Variant]:
    for family in house.catalog.families:
        if family.model_type.lower() == kind.lower():
            for variant in family.variants:
                if version_of(family, variant).lower() == version.lower():
                    return family, variant
    raise BadRequest(
        f"There is no version {version!r} of a model of type {kind}. Versions look like stoker--0_004B--pytorch--none; "
        f"a model's own: GET /v1/models/{kind}/NAME/versions.",
        param="model_version",
    )


def _describe(house: House, family: ModelFamily, address: str) -> list[Json]:
    home = house.settings.home
    paths = {one.uri: one.path for one in list_weights(home, (), {}) if one.complete}
    return [_item(house, family, variant, paths, address) for variant in family.variants]


def _item(house: House, family: ModelFamily, variant: Variant, paths: Mapping[str, str], address: str) -> Json:
    path = next((paths[uri] for uri in variant.sources if uri in paths), None)
    size = variant.size_in_billions
    return {
        "model_version": version_of(family, variant),
        "model_file_location": {address: path} if path else None,
        "cache_status": lie_here(variant.sources, house.catalog, house.settings.home),
        "model_name": family.name,
        "model_format": variant.format,
        "model_size_in_billions": int(size) if size.isdigit() else size,
        "quantization": variant.quantization,
    }
