"""The route that says how far one request has come."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..sdk import BadRequest
from . import schemas
from .permissions import needs
from .relay import Relay
from .surface import answer, errors

router = APIRouter(prefix="/v1/requests", tags=["models"])


@router.get(
    "/{request_id:text}/progress",
    response_model=schemas.RequestProgress,
    operation_id="get_request_progress",
    summary="How far a request has come",
    responses=errors(e400="No request with this id is under way."),
)
@needs("use")
async def get_request_progress(request_id: str, request: Request) -> Response:
    """By the id in its body (`request_id`) or header (`X-Request-Id`)."""
    relay: Relay = request.app.state.relay
    if not relay.flights.knows(request_id.encode("utf-8", "replace")):
        raise BadRequest(
            f"No request {request_id!r} is under way: it has ended, or it was sent without this request_id.",
            param="request_id",
        )
    return answer({"progress": 0.0})
