"""Administrative routes that scale a model: one replica more, one less."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ..host.placement import parse_place
from ..sdk import NotReady
from . import describe, schemas
from .models import finish, known, read_json
from .permissions import needs
from .surface import Grounds, TheGrounds, TheHouse, answer, errors

MOST_LINES = 10_000  # a log holds ten megabytes; who wants more of it reads the file

router = APIRouter(prefix="/v1/models", tags=["models"])

_DEVICE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "worker_ip": {"type": ["string", "null"]},
        "n_gpu": {"type": ["integer", "string", "null"]},
        "gpu_idx": {"type": ["array", "null"], "items": {"type": "integer"}},
    },
}
_CONFIG = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "replica_uid": {"type": ["string", "null"], "minLength": 1, "maxLength": 100},
        "devices": {"type": "array", "items": _DEVICE, "maxItems": 1},
    },
}
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"replica_config": _CONFIG}}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.post(
    "/{uid:text}/replicas",
    response_model=schemas.AddedReplica,
    operation_id="add_replica",
    summary="Add a replica",
    responses=errors(
        e400="There is no such model, or the replica is described wrongly.",
        e409="The model is down; launch it again.",
        e503="The model is loading, or the replica did not come up.",
    ),
    openapi_extra=_BODY,
)
@needs("admin")
async def add_replica(uid: str, request: Request, grounds: TheGrounds, wait_ready: bool = True) -> Response:
    """`{}`, or `{"replica_config": {"devices": [{"n_gpu": 1, "gpu_idx": [0]}]}}` to choose its devices.

    Unless `wait_ready` is false, answers when it is ready; one that does not come up leaves the model as it was.
    """
    place = parse_place(await read_json(request, grounds))
    with known():
        replica_id = await grounds.house.deployments.add_replica(uid, place)
    if wait_ready:
        await until_added(grounds, uid, replica_id)
    return answer(describe.describe_added(uid, replica_id))


@router.delete(
    "/{uid:text}/replicas/{replica_id:int}",
    response_model=schemas.RemainingReplicas,
    operation_id="remove_replica",
    summary="Remove a replica",
    responses=errors(
        e400="There is no such model or replica.", e409="The model is down.", e503="The model is loading; try again."
    ),
)
@needs("admin")
async def remove_replica(uid: str, replica_id: int, house: TheHouse) -> Response:
    """Answers when no new request can reach it; what it is answering may end first. The last one ends the model."""
    with known():
        left = await finish(house.deployments.remove_replica(uid, replica_id))
    return answer({"remaining_replicas": left})


@router.get(
    "/{uid:text}/replicas/{replica_id:int}/logs",
    response_model=schemas.ReplicaLogs,
    operation_id="get_replica_logs",
    summary="What the worker of a replica printed last",
    responses=errors(e400="There is no such model, or the replica has no worker.", e503="Its cluster cannot read it."),
)
@needs("admin")
async def get_replica_logs(
    uid: str, replica_id: int, house: TheHouse, lines: Annotated[int, Query(ge=1, le=MOST_LINES)] = 200
) -> Response:
    """The last `lines` of its stdout and stderr, oldest first. The log goes with the worker: of one that has died, the
    model's events say why."""
    with known():
        told = await house.deployments.logs(uid, replica_id, lines)
    return answer({"replica_id": replica_id, "lines": told})


async def until_added(grounds: Grounds, uid: str, replica_id: int) -> None:
    """Waits for the replica, but not for one that comes up after the server has left."""
    ready = asyncio.ensure_future(grounds.house.deployments.wait_added(uid, replica_id))
    stopping = asyncio.ensure_future(grounds.stopping.wait())
    try:
        await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise NotReady(f"The server is stopping; replica {replica_id} of {uid!r} comes up when it is back.")
        await ready
    finally:
        ready.cancel()
        stopping.cancel()
