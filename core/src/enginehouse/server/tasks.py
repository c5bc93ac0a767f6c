"""Routes that list what can be asked of models, and what builds models that no engine knows."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from ..host.launchers import all_launchers
from ..sdk import TASKS
from .permissions import needs
from .schemas import Open
from .surface import TheHouse, answer

router = APIRouter(prefix="/v1", tags=["models"])


class TaskItem(Open):
    """streams: whether an answer may come as events; takes_forms: whether a multipart form may be sent."""

    name: str
    route: str
    summary: str
    model_types: list[str]
    streams: bool
    takes_forms: bool


class Tasks(Open):
    tasks: list[TaskItem]


class LauncherItem(Open):
    name: str
    launcher: str
    aliases: list[str]
    requirements: list[str]
    distribution: str
    summary: str


class Launchers(Open):
    launchers: list[LauncherItem]


@router.get("/tasks", response_model=Tasks, operation_id="list_tasks", summary="List what can be asked of models")
@needs("read")
async def list_tasks(house: TheHouse) -> Response:
    """Those of core, and those that plugins bring with their model types."""
    kinds = house.catalog.model_types
    items = [
        {
            "name": task.name,
            "route": task.route,
            "summary": task.summary,
            "model_types": [kind.name for kind in kinds if task.name in kind.tasks or task in kind.own_tasks],
            "streams": task.chunk is not None,
            "takes_forms": task.takes_forms,
        }
        for task in (*TASKS.values(), *house.catalog.own_tasks)
    ]
    return answer({"tasks": items})


@router.get(
    "/launchers",
    response_model=Launchers,
    operation_id="list_launchers",
    summary="List the builders of flexible models",
)
@needs("read")
async def list_launchers(house: TheHouse) -> Response:
    """Those of plugins, then those that installed distributions name. Any callable's dotted path will do as well."""
    return answer({"launchers": await asyncio.to_thread(all_launchers, house.catalog.launchers)})
