"""Xinference's routes of virtual environments, on environments that several models may share."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from ..host.environments.listing import EnvironmentView
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
    "", response_model=VirtualEnvironments, operation_id="list_virtualenvs", summary="List environments of models"
)
@needs("read")
async def list_virtualenvs(
    house: TheHouse, model_name: str | None = None, model_engine: str | None = None, worker_ip: str | None = None
) -> Response:
    """One item for each model and the environment that it runs in; several models may share one. Of an environment in
    which none is declared, the model for which it was made."""
    found = await house.environments.of_models(model_name=model_name, model_engine=model_engine)
    return answer({"list": [_item(name, view) for name, view in found]})


@router.delete(
    "",
    response_model=EnvironmentsRemoved,
    operation_id="remove_virtualenvs",
    summary="Remove environments of a model",
    responses=errors(e400="model_name is missing.", e409="A worker or another model uses one of them."),
)
@needs("admin")
async def remove_virtualenvs(
    house: TheHouse,
    model_name: str | None = None,
    model_engine: str | None = None,
    python_version: str | None = None,
    worker_ip: str | None = None,
) -> Response:
    """All of a model, or of it those of an engine or a Python version. They are made again, of the same packages, when
    they are needed."""
    if not model_name:
        raise BadRequest("Say whose environments to remove: `model_name` is missing.", param="model_name")
    found = await house.environments.of_models(
        model_name=model_name, model_engine=model_engine, python_version=python_version
    )
    return answer({"result": await house.environments.remove(model_name, [view for _, view in found])})


def _item(model_name: str, view: EnvironmentView) -> dict[str, str]:
    return {
        "model_name": model_name,
        "model_engine": view.engine,
        "python_version": view.python,
        "path": view.path,
        "real_path": view.real_path,
        "actor_ip_address": HERE,
    }
