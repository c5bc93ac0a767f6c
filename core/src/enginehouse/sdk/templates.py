"""What chat templates take, for engines that render a model's own: messages and tools as plain values."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from .chat import Message, Tool
from .errors import BadRequest, NotSupported

_ROLES = {"developer": "system", "function": "tool"}  # OpenAI's younger and older names for what templates know


def template_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as templates expect them: text instead of parts, the arguments of tool calls as objects.

    Raises NotSupported for parts that are no text.
    """
    return [_plain(message) for message in messages]


def template_tools(tools: Sequence[Tool]) -> list[dict[str, Any]] | None:
    """Tools as templates expect them; None where there are none."""
    return [msgspec.to_builtins(tool) for tool in tools] or None


def check_template_options(options: Collection[str], reserved: Collection[str]) -> None:
    """Raises BadRequest where a request's chat_template_kwargs name what the engine itself gives."""
    if taken := sorted(set(reserved) & set(options)):
        raise BadRequest(
            f"chat_template_kwargs may not hold {', '.join(taken)}; leave that out.", param="chat_template_kwargs"
        )


def no_template() -> NotSupported:
    """What a model without a chat template answers to a chat."""
    return NotSupported(
        "This model has no chat template, so it cannot chat; use /v1/completions, "
        "or register the model with a chat_template."
    )


def template_refused(error: Exception) -> BadRequest:
    """What is said when a template raised."""
    return BadRequest(f"The model's chat template refused the messages: {error}", param="messages")


def _plain(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = msgspec.to_builtins(message)
    turn["role"] = _ROLES.get(message.role, message.role)
    turn["content"] = _text(message.content)
    for call in turn.get("tool_calls") or ():
        call["function"]["arguments"] = _arguments(call["function"].get("arguments", "{}"))
    return turn


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    return content or ""


def _part(part: dict[str, Any]) -> str:
    text = part.get("text")
    if part.get("type", "text") != "text" or not isinstance(text, str):
        raise NotSupported(
            f"This model reads text only, not a part of type {part.get('type')!r}; send parts of type 'text'.",
            param="messages",
        )
    return text


def _arguments(arguments: str | dict[str, Any]) -> Any:
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return arguments
