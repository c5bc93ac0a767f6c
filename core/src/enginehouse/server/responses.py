"""OpenAI's Responses, for every model that chats."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Send

from ..host.kept_responses import KeptResponse, KeptResponses
from ..sdk import TASKS, BadRequest, EnginehouseError
from .arrivals import Heading
from .callers import caller_id
from .permissions import needs
from .relay import Out
from .responses_answers import ResponseWriter
from .responses_requests import ResponsesRequest, chat_of, messages_of, read_responses_request
from .schemas import Error
from .surface import Grounds, TheHouse, answer, errors
from .surface_schemas import ResponseDeleted, ResponseObject, asks_with, inference_errors, streamed
from .surfaces import Asking, respond
from .translation import Translated

router = APIRouter(prefix="/v1/responses", tags=["responses"])
Json = dict[str, Any]


class ResponseNotFound(EnginehouseError):
    status, code, kind = 404, "response_not_found", "invalid_request_error"


class _Responses:
    """`POST /v1/responses`."""

    async def read(self, body: bytes, heading: Heading, send: Send, grounds: Grounds) -> Asking:
        request = read_responses_request(body)
        kept = grounds.house.responses
        key_id = caller_id()
        messages = [*await _said_before(kept, request, key_id), *messages_of(request.input)]
        writer = ResponseWriter(request, heading.request_id, partial(_keep, kept, key_id, messages))
        return Asking(TASKS["chat"], request.model, chat_of(request, messages), Translated(send, writer))

    def refusing(self, heading: Heading, send: Send) -> Out:
        return Translated(send, ResponseWriter(_NOTHING, heading.request_id, _forget))


async def _said_before(kept: KeptResponses, request: ResponsesRequest, key_id: str | None) -> list[Json]:
    if request.previous_response_id is None:
        return []
    before = await kept.get(request.previous_response_id, key_id)
    if before is None:
        raise BadRequest(
            f"There is no response {request.previous_response_id!r} any more: it was not stored, it was too old, or "
            "another key made it. "
            "Send the whole conversation in `input`.",
            param="previous_response_id",
        )
    return before.messages


async def _keep(
    kept: KeptResponses, key_id: str | None, messages: list[Json], response: Json, turn: list[Json]
) -> None:
    await kept.keep(response["id"], KeptResponse(response, [*messages, *turn]), key_id)


async def _forget(response: Json, turn: list[Json]) -> None:
    """Nothing was answered, so there is nothing to keep."""


_NOTHING = ResponsesRequest(model="", input="")
_responses = _Responses()
_UNKNOWN = errors(e404="There is no such response, or it is kept no more.")


@router.post(
    "",
    response_model=ResponseObject,
    operation_id="create_response",
    summary="Answer a conversation, the way of OpenAI's Responses",
    responses=streamed("response.created, ..., response.completed") | inference_errors(Error),
    openapi_extra=asks_with(ResponsesRequest),
)
@needs("use")
async def create_response(request: Request) -> Response:
    """With `stream`, events of it as they are made. Kept for `previous_response_id` unless `store` is false."""
    return respond(_responses, request)


@router.get(
    "/{response_id}",
    response_model=ResponseObject,
    operation_id="get_response",
    summary="A response that was kept",
    responses=_UNKNOWN,
)
@needs("use")
async def get_response(response_id: str, house: TheHouse) -> Response:
    """As it was answered, for the key that asked for it."""
    kept = await house.responses.get(response_id, caller_id())
    if kept is None:
        raise _unknown(response_id)
    return answer(kept.response)


@router.delete(
    "/{response_id}",
    response_model=ResponseDeleted,
    operation_id="delete_response",
    summary="Forget a response",
    responses=_UNKNOWN,
)
@needs("use")
async def delete_response(response_id: str, house: TheHouse) -> Response:
    """Those that followed it keep what it said."""
    if not await house.responses.forget(response_id, caller_id()):
        raise _unknown(response_id)
    return answer({"id": response_id, "object": "response", "deleted": True})


def _unknown(response_id: str) -> ResponseNotFound:
    return ResponseNotFound(f"There is no response {response_id!r}, or it is kept no more.", param="response_id")
