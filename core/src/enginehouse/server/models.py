"""Administrative routes of models: list, launch, describe, end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.footprint import groups_bytes
from ..host.launch_request import LaunchRequest, parse_launch
from ..host.outlook import foretell
from ..host.routing import RETRY_AFTER_SECONDS
from ..host.views import DeploymentView
from ..sdk import BadRequest, LaunchFailed, ModelNotFound, NotReady
from . import describe, schemas
from .arrivals import read_body
from .callers import visible
from .errors import UnknownModel
from .gate import note_act, note_model
from .paths import check_reachable
from .permissions import needs
from .plans import PlannedLaunch, describe_outlook
from .surface import Grounds, TheGrounds, TheHouse, answer, errors

T = TypeVar("T")
router = APIRouter(prefix="/v1/models", tags=["models"])

_UNKNOWN = errors(e400="There is no such model.")
_LAUNCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{LaunchRequest.__name__}"}}},
    }
}


@router.get("", response_model=schemas.ModelList, operation_id="list_models", summary="List the running models")
@needs("read")
async def list_models(house: TheHouse, all: bool = False) -> Response:
    """Those that answer now; with `all=true` also those that load, restart or failed."""
    data = [describe.describe_model(view) for view in visible(house) if all or describe.answers_now(view)]
    return answer({"object": "list", "data": data})


@router.post(
    "",
    response_model=schemas.Launched | PlannedLaunch,
    operation_id="launch_model",
    summary="Launch a model",
    responses=errors(
        e400="The launch is wrong, or no engine can run the model.",
        e409="The uid is taken.",
        e499="The launch was cancelled.",
        e503="The model did not come up.",
    ),
    openapi_extra=_LAUNCH_BODY,
)
@needs("admin")
async def launch_model(
    request: Request, grounds: TheGrounds, wait_ready: bool | None = None, dry_run: bool = False
) -> Response:
    """Unknown fields go to the engine as options. Unless `wait_ready` is false, answers when the model is ready.

    A caller that goes away meanwhile does not stop the launch; cancelling it does. With `dry_run` nothing is done:
    the answer says what would be, how much memory it takes and whether it fits.
    """
    body = await read_json(request, grounds)
    launch = parse_launch(body)
    check_reachable(launch)
    note_model(request, launch.model_uid or launch.model_name)
    if dry_run:
        note_act(request, "foretell_launch")
        house = grounds.house
        outlook = await foretell(launch, house.plugins, house.settings, house.clusters)
        return answer(describe_outlook(outlook, await house.deployments.evicts(outlook.plan)))
    wait = wish_to_wait(body) if wait_ready is None else wait_ready
    uid = await grounds.house.deployments.launch(launch)
    if wait:
        await until_ready(grounds, uid)
    return answer({"model_uid": uid})


@router.get(
    "/instances",
    response_model=list[schemas.Instance],
    operation_id="list_instances",
    summary="List models with their replicas, in every state",
)
@needs("read")
async def list_instances(house: TheHouse, model_name: str | None = None, model_uid: str | None = None) -> Response:
    """All, or those of a name, or the one of a uid, which wins over the name."""
    instances = [describe.describe_instance(view) for view in visible(house)]
    if model_uid:
        instances = [one for one in instances if one["model_uid"] == model_uid]
    elif model_name:
        instances = [one for one in instances if one["model_name"] == model_name]
    return answer(instances)


@router.get(
    "/{uid:text}/progress",
    response_model=schemas.Progress,
    operation_id="get_launch_progress",
    summary="How far a launch has come",
)
@needs("read")
async def get_progress(uid: str, house: TheHouse) -> Response:
    """A uid that is not known is at 0, pending: clients ask before the launch has begun."""
    try:
        return answer(describe.describe_progress(house.deployments.view(uid)))
    except ModelNotFound:
        return answer(describe.unknown_progress())


@router.post(
    "/{uid:text}/cancel",
    response_model=None,
    operation_id="cancel_launch",
    summary="Cancel a launch",
    responses=errors(e400="There is no such model, or it is not being launched."),
)
@needs("admin")
async def cancel_launch(uid: str, house: TheHouse) -> Response:
    """Returns when its processes are gone."""
    with known():
        await finish(house.deployments.cancel(uid))
    return answer(None)


@router.get(
    "/{uid:text}/replicas",
    response_model=list[schemas.Replica],
    operation_id="list_replicas",
    summary="A model's replicas",
    responses=_UNKNOWN,
)
@needs("read")
async def list_replicas(uid: str, house: TheHouse) -> Response:
    """Each with its process, its own address, and why it died last."""
    with known():
        return answer(describe.describe_replicas(house.deployments.view(uid)))


@router.get(
    "/{uid:text}/events",
    response_model=list[schemas.Event],
    operation_id="list_events",
    summary="What happened to a model",
)
@needs("read")
async def list_events(uid: str, house: TheHouse) -> Response:
    """The last ones, oldest first; none for a uid that is not known."""
    try:
        return answer([describe.describe_event(event) for event in house.deployments.events(uid)])
    except ModelNotFound:
        return answer([])


@router.get(
    "/{uid:uid}",
    response_model=schemas.Model,
    operation_id="describe_model",
    summary="Describe a model",
    responses=errors(e400="There is no such model.", e503="It is loading (with Retry-After), or it is down."),
)
@needs("read")
async def get_model(uid: str, house: TheHouse, any_status: bool = False) -> Response:
    """Answers while the model does; with `any_status=true` in every state."""
    with known():
        view = house.deployments.view(uid)
    if not any_status:
        _check_answers(view)
    measured = await asyncio.to_thread(groups_bytes, [replica.pid for replica in view.replicas if replica.pid])
    return answer({**describe.describe_model(view), **describe.describe_memory(view, measured)})


@router.delete(
    "/{uid:uid}", response_model=None, operation_id="terminate_model", summary="End a model", responses=_UNKNOWN
)
@needs("admin")
async def terminate_model(uid: str, house: TheHouse) -> Response:
    """Running requests get time to end. Returns when its processes are gone."""
    with known():
        await finish(house.deployments.terminate(uid))
    return answer(None)


@contextmanager
def known() -> Iterator[None]:
    """Clients of these routes know 400 for an unknown uid, where inference answers 404."""
    try:
        yield
    except ModelNotFound as error:
        raise UnknownModel(error.message, param=error.param) from error


def _check_answers(view: DeploymentView) -> None:
    if describe.answers_now(view):
        return
    if view.status == "ERROR":
        raise LaunchFailed(f"Model {view.model_uid!r} is down: {view.error}")
    raise NotReady(
        f"Model {view.model_uid!r} is {view.status.lower()} ({view.stage}, {view.progress:.0%}); try again.",
        retry_after=RETRY_AFTER_SECONDS,
    )


async def read_json(request: Request, grounds: Grounds) -> Any:
    """The body as a value. Raises BadRequest, TooLarge."""
    length = request.headers.get("content-length")
    limit = grounds.house.settings.body_bytes
    body = await read_body(request.receive, int(length) if length else None, limit)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error


def wish_to_wait(body: dict[str, Any]) -> bool:
    wish = body.get("wait_ready")
    if wish is None:
        return True
    if not isinstance(wish, bool):
        raise BadRequest(f"wait_ready is {wish!r}; it must be true or false.", param="wait_ready")
    return wish


async def until_ready(grounds: Grounds, uid: str) -> None:
    """Waits for the model, but not for one that comes up after the server has left."""
    ready = asyncio.ensure_future(grounds.house.deployments.wait_ready(uid))
    stopping = asyncio.ensure_future(grounds.stopping.wait())
    try:
        await asyncio.wait({ready, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise NotReady(f"The server is stopping; the launch of {uid!r} goes on when it is back.")
        await ready
    finally:
        ready.cancel()
        stopping.cancel()


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Ends what was begun even when the server cancels the request that began it: half an end is no state."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise
