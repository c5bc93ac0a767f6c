"""Anthropic's API, for every model that chats. Any `anthropic-version` is taken, or none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Send

from ..host.views import DeploymentView
from ..sdk import AUXILIARY, TASKS, ModelNotFound, TokenizeAnswer
from . import describe
from .anthropic_answers import Asked, MessageWriter
from .anthropic_errors import error_of, headers_of
from .anthropic_requests import (
    CountRequest,
    MessagesRequest,
    chat_of,
    prompt_of,
    read_count_request,
    read_messages_request,
)
from .arrivals import Heading
from .callers import visible
from .chat_events import Refusal
from .permissions import needs
from .relay import Out
from .surface import Grounds, TheHouse, answer
from .surface_schemas import (
    AnthropicCount,
    AnthropicError,
    AnthropicMessage,
    AnthropicModel,
    AnthropicModels,
    asks_with,
    inference_errors,
    streamed,
)
from .surfaces import Asking, respond
from .translation import Headers, Restated, Translated

router = APIRouter(tags=["anthropic"])
_ERRORS = inference_errors(AnthropicError)


class _Messages:
    """`POST /v1/messages`."""

    async def read(self, body: bytes, heading: Heading, send: Send, grounds: Grounds) -> Asking:
        request = read_messages_request(body)
        shows = request.thinking is None or request.thinking.display != "omitted"
        asked = Asked(request.model, bool(request.stream), tuple(request.stop_sequences or ()), shows)
        out = Translated(send, MessageWriter(asked, heading.request_id))
        return Asking(TASKS["chat"], request.model, chat_of(request), out)

    def refusing(self, heading: Heading, send: Send) -> Out:
        return Translated(send, MessageWriter(Asked("", stream=False), heading.request_id))


class _CountTokens:
    """`POST /v1/messages/count_tokens`."""

    async def read(self, body: bytes, heading: Heading, send: Send, grounds: Grounds) -> Asking:
        request = read_count_request(body)
        prompt = prompt_of(request)
        prompt.pop("parallel_tool_calls", None)
        return Asking(AUXILIARY["tokenize"], request.model, prompt, self.refusing(heading, send))

    def refusing(self, heading: Heading, send: Send) -> Out:
        return Restated(send, _Count(heading.request_id))


class _Count:
    """A worker's tokens as their number."""

    def __init__(self, request_id: bytes) -> None:
        self._request_id = request_id

    def restate(self, body: bytes) -> bytes:
        return msgspec.json.encode({"input_tokens": _counted.decode(body).count})

    def refusal(self, refusal: Refusal) -> bytes:
        return msgspec.json.encode(error_of(refusal, self._request_id.decode()))

    def headers(self) -> Headers:
        return headers_of(self._request_id)


_messages = _Messages()
_count_tokens = _CountTokens()
_counted = msgspec.json.Decoder(TokenizeAnswer)


@router.post(
    "/v1/messages",
    response_model=AnthropicMessage,
    operation_id="create_message",
    summary="Answer a conversation, Anthropic's way",
    responses=streamed("message_start, content_block_*, message_delta, message_stop") | _ERRORS,
    openapi_extra=asks_with(MessagesRequest),
)
@router.post("/anthropic/v1/messages", operation_id="create_message_there", include_in_schema=False)
@needs("use")
async def create_message(request: Request) -> Response:
    """With `stream`, events of the message as they are made."""
    return respond(_messages, request)


@router.post(
    "/v1/messages/count_tokens",
    response_model=AnthropicCount,
    operation_id="count_tokens",
    summary="Tokens that a message's prompt would have",
    responses=_ERRORS,
    openapi_extra=asks_with(CountRequest),
)
@router.post("/anthropic/v1/messages/count_tokens", operation_id="count_tokens_there", include_in_schema=False)
@needs("use")
async def count_tokens(request: Request) -> Response:
    """Counted by the model's own tokenizer; 400 where its engine does not offer it."""
    return respond(_count_tokens, request)


@router.get(
    "/anthropic/v1/models",
    response_model=AnthropicModels,
    operation_id="list_anthropic_models",
    summary="Running models, Anthropic's way",
)
@needs("read")
async def list_models(house: TheHouse) -> Response:
    """Those that answer now, all on one page."""
    data = [_describe(view) for view in visible(house) if describe.answers_now(view)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return answer({"data": data, "has_more": False, **ends})


@router.get(
    "/anthropic/v1/models/{uid:text}",
    response_model=AnthropicModel,
    operation_id="get_anthropic_model",
    summary="A model, Anthropic's way",
    responses={404: _ERRORS[404]},
)
@needs("read")
async def get_model(uid: str, house: TheHouse) -> Response:
    """404 also while it loads."""
    view = house.deployments.view(uid)
    if not describe.answers_now(view):
        raise ModelNotFound(f"Model {uid!r} does not answer now; see GET /v1/models/{uid}?any_status=true.")
    return answer(_describe(view))


def _describe(view: DeploymentView) -> dict[str, Any]:
    created = datetime.fromtimestamp(int(view.created_ts), UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": "model",
        "id": view.model_uid,
        "display_name": view.facts.get("model_name", view.model_uid),
        "created_at": created,
        "max_input_tokens": view.facts.get("context_length"),
        "max_tokens": view.facts.get("context_length"),
    }
