"""Routes of what is started with the server."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ..host.autostart import StartedModel, shown_launch
from ..host.autostart_entries import Terms
from ..host.launch_request import LaunchRequest, parse_launch
from ..host.secrecy import hide_secrets, restore_secrets
from .arrivals import read_body, read_heading
from .bodies import read_struct
from .callers import may_see
from .gate import note_model
from .paths import check_reachable
from .permissions import needs
from .schemas import Open
from .surface import TheGrounds, TheHouse, answer, errors

router = APIRouter(prefix="/v1/autostart/models", tags=["models"])


class NewEntry(Terms, frozen=True, kw_only=True):
    """launch: the body of `POST /v1/models`."""

    launch: dict[str, Any]


class AutostartSummary(Open):
    """attempts, last_error: of starts by entries since the server's own. status: null where nothing is declared."""

    model_uid: str
    model_name: str
    enabled: bool
    priority: int
    status: str | None
    attempts: int
    last_error: str | None


class AutostartEntry(AutostartSummary):
    max_retries: int
    retry_interval_seconds: float
    launch: dict[str, Any]


class AutostartSummaries(BaseModel):
    """In the order in which they are started."""

    models: list[AutostartSummary]


class AutostartEntries(BaseModel):
    """In the order in which they are started."""

    models: list[AutostartEntry]


class Removed(Open):
    model_uid: str
    removed: bool


_decoder = msgspec.json.Decoder(NewEntry, strict=False)
_schema = msgspec.json.schema_components([NewEntry])[1][NewEntry.__name__]
_schema["properties"]["launch"] = {"$ref": f"#/components/schemas/{LaunchRequest.__name__}"}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema}}}}


@router.get(
    "", response_model=AutostartEntries, operation_id="list_autostart", summary="List what is started with the server"
)
@needs("admin")
async def list_autostart(house: TheHouse) -> Response:
    """Every declared model, and entries that are kept for other starts. Values of `envs` are hidden."""
    return answer({"models": [_describe(one) for one in await house.autostart.all()]})


@router.get(
    "/summary",
    response_model=AutostartSummaries,
    operation_id="summarise_autostart",
    summary="Names of what is started with the server",
)
@needs("read")
async def summarise_autostart(house: TheHouse) -> Response:
    """Those that the caller may use."""
    started = await house.autostart.all()
    return answer({"models": [_summarise(one) for one in started if may_see(house, one.model_uid)]})


@router.post(
    "",
    response_model=AutostartEntry,
    operation_id="put_autostart",
    summary="Start a model with the server",
    responses=errors(
        e400="The entry or its launch is wrong, or no engine can run it.",
        e409="Another launch is declared by this uid.",
    ),
    openapi_extra=_BODY,
)
@needs("admin")
async def put_autostart(request: Request, grounds: TheGrounds) -> Response:
    """In place of the entry of the same uid. It is started now too, unless `enabled` is false; the answer does not wait
    for that. An `envs` value that is ****** stays as it is kept."""
    house = grounds.house
    body = await read_body(request.receive, read_heading(request.scope["headers"]).length, house.settings.body_bytes)
    entry = read_struct(_decoder, body)
    parsed = parse_launch(entry.launch)
    check_reachable(parsed)
    uid = parsed.model_uid or parsed.model_name
    known = next((one for one in await house.autostart.all() if one.model_uid == uid), None)
    launch = restore_secrets(entry.launch, shown_launch(known.request, uid) if known else None)
    note_model(request, uid)
    terms = Terms(**{name: getattr(entry, name) for name in Terms.__struct_fields__})
    return answer(_describe(await house.autostart.put(parse_launch(launch), terms)))


@router.delete(
    "/{uid:uid}",
    response_model=Removed,
    operation_id="remove_autostart",
    summary="Start a model with the server no more",
    responses=errors(e404="It is not started with the server."),
)
@needs("admin")
async def remove_autostart(uid: str, house: TheHouse) -> Response:
    """What runs runs on, until the server or the model ends."""
    await house.autostart.remove(uid)
    return answer({"model_uid": uid, "removed": True})


def _summarise(one: StartedModel) -> dict[str, Any]:
    return {
        "model_uid": one.model_uid,
        "model_name": one.request.model_name,
        "enabled": one.terms.enabled,
        "priority": one.terms.priority,
        "status": one.status,
        "attempts": one.tries.attempts,
        "last_error": one.tries.last_error,
    }


def _describe(one: StartedModel) -> dict[str, Any]:
    return {
        **_summarise(one),
        **msgspec.to_builtins(one.terms),
        "launch": hide_secrets(shown_launch(one.request, one.model_uid)),
    }
