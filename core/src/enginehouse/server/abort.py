"""The route that aborts one request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from . import schemas
from .arrivals import read_body, read_heading
from .billing import CALLER
from .bodies import read_struct
from .permissions import needs
from .relay import Relay
from .surface import TheGrounds, answer, errors

BLOCK_SECONDS = 30.0  # unless the caller says otherwise; as Xinference
MOST_BLOCK_SECONDS = 3600.0

router = APIRouter(prefix="/v1/models", tags=["models"])


class AbortRequest(msgspec.Struct, frozen=True):
    """block_duration: seconds for which the id is refused; a request that is still on its way is caught so."""

    block_duration: Annotated[float, msgspec.Meta(ge=0, le=MOST_BLOCK_SECONDS)] | None = None


class Aborted(schemas.Open):
    """DONE: it was ended. NOT_FOUND: no such request runs. NO_OP: there is no such model."""

    msg: Literal["DONE", "NOT_FOUND", "NO_OP"]


_decoder = msgspec.json.Decoder(AbortRequest)
_BODY: dict[str, Any] = {
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "block_duration": {
                            "type": ["number", "null"],
                            "minimum": 0,
                            "maximum": MOST_BLOCK_SECONDS,
                            "default": BLOCK_SECONDS,
                        }
                    },
                }
            }
        }
    }
}


@router.post(
    "/{uid}/requests/{request_id:text}/abort",
    response_model=Aborted,
    operation_id="abort_request",
    summary="Abort one request",
    responses=errors(e400="block_duration is wrong."),
    openapi_extra=_BODY,
)
@needs("use")
async def abort_request(uid: str, request_id: str, request: Request, grounds: TheGrounds) -> Response:
    """By the id in its body (`request_id`) or header (`X-Request-Id`). Its client is told 499, or an error event."""
    account = CALLER.get()
    if account is not None:
        account.check_model(uid)
    limit = grounds.house.settings.body_bytes
    body = await read_body(request.receive, read_heading(request.scope["headers"]).length, limit)
    wish = read_struct(_decoder, body or b"{}").block_duration
    if grounds.house.routing.get(uid) is None:
        return answer({"msg": "NO_OP"})
    relay: Relay = request.app.state.relay
    seconds = BLOCK_SECONDS if wish is None else wish
    return answer({"msg": relay.flights.abort(uid, request_id.encode("utf-8", "replace"), seconds)})
