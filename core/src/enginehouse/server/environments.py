"""Routes of environments that were made for engines: list them, remove them."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from ..host.environment_shelf import ShelvedEnvironment, list_environments, remove_environments
from ..host.house import House
from ..sdk import BadRequest
from .cache import HERE
from .permissions import needs
from .schemas import Open
from .surface import TheHouse, answer, errors

router = APIRouter(prefix="/v1/virtualenvs", tags=["models"])


class VirtualEnvironment(Open):
    model_name: str
    model_engine: str | None
    path: str
    real_path: str
    python_version: str | None
    actor_ip_address: str


class VirtualEnvironments(BaseModel):
    """All environments on this machine."""

    list: list[VirtualEnvironment]


class EnvironmentsRemoved(Open):
    """result: whether there was one."""

    result: bool


@router.get(
    "", response_model=VirtualEnvironments, operation_id="list_virtualenvs", summary="List environments of engines"
)
@needs("read")
async def list_virtualenvs(
    house: TheHouse, model_name: str | None = None, model_engine: str | None = None, worker_ip: str | None = None
) -> Response:
    """Those that provisioners made in the server's home. None where engines run with the server's own libraries."""
    found = await _find(house, model_name=model_name, model_engine=model_engine)
    return answer({"list": [{**msgspec.to_builtins(one), "actor_ip_address": HERE} for one in found]})


@router.delete(
    "",
    response_model=EnvironmentsRemoved,
    operation_id="remove_virtualenvs",
    summary="Remove environments of engines",
    responses=errors(e400="model_name is missing.", e409="A worker runs in one of them."),
)
@needs("admin")
async def remove_virtualenvs(
    house: TheHouse,
    model_name: str | None = None,
    model_engine: str | None = None,
    python_version: str | None = None,
    worker_ip: str | None = None,
) -> Response:
    """All of a model, or of it those of an engine or a Python version. They are made again when they are needed."""
    if not model_name:
        raise BadRequest("Say whose environments to remove: `model_name` is missing.", param="model_name")
    found = await _find(house, model_name=model_name, model_engine=model_engine, python_version=python_version)
    return answer({"result": await asyncio.to_thread(remove_environments, found, house.settings.workers_folder)})


async def _find(house: House, **wanted: str | None) -> list[ShelvedEnvironment]:
    """Those whose named fields are as wanted; None wants nothing."""
    environments = await asyncio.to_thread(list_environments, house.settings.home)
    return [one for one in environments if all(value in (None, getattr(one, name)) for name, value in wanted.items())]
