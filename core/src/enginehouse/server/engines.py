"""Administrative routes of engines: which there are, and which can run a model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ..host.knowledge import gather_knowledge
from ..host.offers import engines_for, find_family, offer_of
from .permissions import needs
from .schemas import Open
from .surface import TheHouse, answer

router = APIRouter(prefix="/v1/engines", tags=["models"])


class Engine(Open):
    name: str
    summary: str
    tasks: list[str]
    model_types: list[str]
    formats: list[str]
    architectures: list[str]
    quantizations: list[str]
    devices: list[str]
    platforms: list[str]
    requirements: list[dict[str, Any]]
    installed: bool
    rank: int
    options: dict[str, Any]


class Engines(Open):
    """All installed engines."""

    engines: list[Engine]


Verdicts = dict[str, list[dict[str, Any]] | str]


@router.get("", response_model=Engines, operation_id="list_engines", summary="List the engines")
@needs("read")
async def list_engines(house: TheHouse) -> Response:
    """Each with its launch options as a JSON schema, and what it needs that is or is not installed."""
    known = await gather_knowledge(house.plugins, house.settings, house.clusters)
    return answer({"engines": [offer_of(engine, known.machine) for engine in known.contributions.engines]})


@router.get(
    "/{model_name}",
    response_model=Verdicts | None,
    operation_id="query_engines",
    summary="Which engines can run a model",
)
@needs("read")
async def query_engines(model_name: str, house: TheHouse, enable_virtual_env: bool | None = None) -> Response:
    """By engine the variants that it can run here, or a sentence why it cannot; null for a model nobody knows.

    `enable_virtual_env` as a launch would say it: an engine whose libraries are not installed counts when an
    environment may be made for it, which false forbids.
    """
    return await _query(house, None, model_name, enable_virtual_env)


@router.get(
    "/{model_type}/{model_name:text}",
    response_model=Verdicts | None,
    operation_id="query_engines_of_type",
    summary="Which engines can run a model of a type",
)
@needs("read")
async def query_engines_of_type(
    model_type: str, model_name: str, house: TheHouse, enable_virtual_env: bool | None = None
) -> Response:
    """As above, for a name that several types have."""
    if house.catalog.model_type(model_type) is None:  # a hub's id, which has a slash in it
        return await _query(house, None, f"{model_type}/{model_name}", enable_virtual_env)
    return await _query(house, model_type, model_name, enable_virtual_env)


async def _query(house: TheHouse, model_type: str | None, model_name: str, enable_virtual_env: bool | None) -> Response:
    family = find_family(house.catalog, model_name, model_type)
    kind = house.catalog.model_type(family.model_type) if family else None
    if family is None or (kind is not None and not kind.names_engines):
        return answer(None)
    known = await gather_knowledge(house.plugins, house.settings, house.clusters)
    return answer(engines_for(family, known.place, enable_virtual_env))
