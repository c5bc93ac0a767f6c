"""Routes of launches that somebody wants to find again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.launch_history import KeptLaunch, new_launch
from ..sdk import BadRequest
from .billing import CALLER
from .callers import may_see
from .models import read_json
from .permissions import needs
from .schemas import Done, Open
from .surface import TheGrounds, TheHouse, answer, described_body, errors

router = APIRouter(prefix="/v1/launch_history", tags=["models"])

_UNKNOWN = errors(e404="No such launch is kept.")


class PastLaunch(Open):
    """data: the launch, with the values of `envs` hidden. updated_at: seconds since 1970."""

    model_name: str
    model_uid: str
    data: dict[str, Any]
    updated_by: str
    updated_at: float


class LaunchToKeep(Open):
    model_name: str
    model_uid: str | None = None
    data: dict[str, Any] | None = None


@router.get("", response_model=list[PastLaunch], operation_id="list_launch_history", summary="List launches of before")
@needs("read")
async def list_launch_history(house: TheHouse, model_name: str | None = None) -> Response:
    """The last one of each model and uid, the newest last; of models that the caller may use."""
    launches = await house.launch_history.all(model_name)
    shown = (one for one in launches if may_see(house, one.model_uid or one.model_name))
    return answer([_describe(launch) for launch in shown])


@router.post(
    "",
    response_model=Done,
    operation_id="keep_launch",
    summary="Keep a launch, to find it again",
    responses=errors(e400="model_name is missing, or a field is wrong."),
    openapi_extra=described_body(LaunchToKeep),
)
@needs("admin")
async def keep_launch(request: Request, grounds: TheGrounds) -> Response:
    """In place of the one of the same name and uid. Values of `envs` are not kept: every key may read this."""
    body = await read_json(request, grounds)
    fields = body if isinstance(body, dict) else {}
    name, uid, data = (fields.get(field) for field in ("model_name", "model_uid", "data"))
    uid, data = "" if uid is None else uid, {} if data is None else data
    if not isinstance(name, str) or not name:
        raise BadRequest("Say whose launch this is: `model_name` is missing.", param="model_name")
    if not isinstance(uid, str):
        raise BadRequest(f"model_uid is {uid!r}; it must be a text.", param="model_uid")
    if not isinstance(data, dict):
        raise BadRequest("data must be an object: the body of a launch.", param="data")
    caller = CALLER.get()
    await grounds.house.launch_history.keep(new_launch(name, uid, data, caller.key.name if caller else ""))
    return answer({"status": "ok"})


@router.delete(
    "/{model_name}",
    response_model=Done,
    operation_id="forget_launch",
    summary="Forget a launch without a uid",
    responses=_UNKNOWN,
)
@needs("admin")
async def forget_launch(model_name: str, house: TheHouse) -> Response:
    """The one that was kept without a uid."""
    await house.launch_history.forget((model_name, ""))
    return answer({"status": "ok"})


@router.delete(
    "/{model_name:text}/{model_uid}",
    response_model=Done,
    operation_id="forget_launch_of_uid",
    summary="Forget a launch",
    responses=_UNKNOWN,
)
@needs("admin")
async def forget_launch_of_uid(model_name: str, model_uid: str, house: TheHouse) -> Response:
    """Or the one without a uid of a name that has a slash in it."""
    await house.launch_history.forget((model_name, model_uid), (f"{model_name}/{model_uid}", ""))
    return answer({"status": "ok"})


def _describe(launch: KeptLaunch) -> dict[str, Any]:
    return {
        "model_name": launch.model_name,
        "model_uid": launch.model_uid,
        "data": launch.data,
        "created_by": launch.updated_by,
        "updated_by": launch.updated_by,
        "updated_at": launch.updated_ts,
    }
