"""The administrative route that changes a declared model while its workers run on."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ..host.amendment import parse_amendment
from ..host.declarations import written
from ..host.launch_request import LaunchRequest, parse_launch
from ..sdk import BadRequest
from .declarations import Declaration
from .models import finish, known, read_json
from .permissions import needs
from .replicas import until_added
from .surface import Grounds, TheGrounds, answer, described_body, errors

router = APIRouter(prefix="/v1/models", tags=["models"])

LAUNCH_SCHEMA = f"#/components/schemas/{LaunchRequest.__name__}"


class ModelChange(BaseModel):
    """Fields that are left out stay as they are; null takes a limit or keep_alive back."""

    replica: int | None = None
    request_limits: int | None = None
    queue_length: int | None = None
    on_demand: bool | None = None
    keep_alive: float | None = None


@router.patch(
    "/{uid:uid}",
    response_model=Declaration,
    operation_id="change_model",
    summary="Change a model in place",
    responses=errors(
        e400="There is no such model, or the field is wrong or needs another worker.",
        e409="The model is down; launch it again.",
        e503="The model is loading, or an added replica did not come up.",
    ),
    openapi_extra=described_body(ModelChange),
)
@needs("admin")
async def change_model(uid: str, request: Request, grounds: TheGrounds, wait_ready: bool = True) -> Response:
    """No request is lost, and no worker but those of replicas that go or come ends or begins.

    Unless `wait_ready` is false, answers when added replicas are ready; one that does not come up is taken back.
    """
    amendment = parse_amendment(await read_json(request, grounds))
    deployments = grounds.house.deployments
    with known():
        added = await finish(deployments.amend(uid, amendment))
    if wait_ready:
        await _until_all_added(grounds, uid, added)
    with known():
        view, launch = deployments.view(uid), deployments.request(uid)
    return answer({"model_uid": uid, "status": view.status, "launch": written(launch, uid)})


@router.post(
    "/{uid:text}/renew",
    response_model=Declaration,
    operation_id="renew_model",
    summary="Give a model new workers",
    responses=errors(
        e400="There is no such model, or the launch is wrong.",
        e409="The model is down; launch it again.",
        e503="A new worker did not come up, or does not fit beside the former one; the former one serves on.",
    ),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"$ref": LAUNCH_SCHEMA}}}}},
)
@needs("admin")
async def renew_model(uid: str, request: Request, grounds: TheGrounds) -> Response:
    """As it is declared, one replica after the other, each planned anew, tried with a small request, and only then put
    in the place of the former worker. No request is lost.

    A body is another launch for it, whole: it is declared once its first worker has proved itself. With the code
    `no_room` nothing has changed, and there is no memory for two workers beside each other.
    """
    deployments = grounds.house.deployments
    launch = await _read_launch(uid, request, grounds)
    with known():
        if launch is None:
            await finish(deployments.renew(uid, "somebody asked for it."))
        else:
            await finish(deployments.relaunch(uid, launch))
        view, launch = deployments.view(uid), deployments.request(uid)
    return answer({"model_uid": uid, "status": view.status, "launch": written(launch, uid)})


async def _read_launch(uid: str, request: Request, grounds: Grounds) -> LaunchRequest | None:
    """None without a body. Raises BadRequest."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return None
    launch = parse_launch(await read_json(request, grounds))
    if launch.model_uid not in (None, uid):
        raise BadRequest(f"The launch is for {launch.model_uid!r}, and this is {uid!r}.", param="model_uid")
    return msgspec.structs.replace(launch, model_uid=uid)


async def _until_all_added(grounds: Grounds, uid: str, added: tuple[int, ...]) -> None:
    """Raises the reason of the first that did not come up, once all have come up or not."""
    waits = (until_added(grounds, uid, replica_id) for replica_id in added)
    for outcome in await asyncio.gather(*waits, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
