"""Shapes of the translated surfaces' answers, for the API's description; never run on the way out."""

from __future__ import annotations

from typing import Any, Literal

from .schemas import Open


class AnthropicUsage(Open):
    input_tokens: int
    output_tokens: int


class AnthropicMessage(Open):
    """content: blocks of the types text, thinking and tool_use."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"] | None
    stop_sequence: str | None
    usage: AnthropicUsage


class AnthropicCount(Open):
    input_tokens: int


class AnthropicModel(Open):
    type: Literal["model"]
    id: str
    display_name: str
    created_at: str


class AnthropicModels(Open):
    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnthropicErrorObject(Open):
    type: str
    message: str


class AnthropicError(Open):
    type: Literal["error"]
    error: AnthropicErrorObject
    request_id: str


class ResponseObject(Open):
    """output: items of the types message, reasoning and function_call."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete", "in_progress", "failed"]
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    model: str
    output: list[dict[str, Any]]
    previous_response_id: str | None
    store: bool
    usage: dict[str, Any] | None


class ResponseDeleted(Open):
    id: str
    object: Literal["response"]
    deleted: bool


_MEANINGS = {
    400: "The request is wrong, or asks for what this model cannot do.",
    404: "There is no such model.",
    413: "The body is too large.",
    429: "The model's queue is full.",
    503: "The model is loading (with Retry-After), or its worker died.",
}


def inference_errors(model: type[Open]) -> dict[int | str, dict[str, Any]]:
    """Documents the errors of a route that asks a worker."""
    return {status: {"model": model, "description": text} for status, text in _MEANINGS.items()}


def asks_with(struct: type[Any]) -> dict[str, Any]:
    """Documents a body by its struct, which the description knows."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}}}
    return {"requestBody": {"required": True, "content": content}}


def streamed(struct: str) -> dict[int | str, dict[str, Any]]:
    """Documents an answer that comes as events where `stream` is true."""
    content: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string", "description": struct}}}
    return {200: {"description": "The answer; with `stream`, events of it as they are made.", "content": content}}
