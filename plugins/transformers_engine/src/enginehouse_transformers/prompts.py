"""Conversations as prompts, by the model's own chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence as Rows
from typing import Any

import msgspec

from enginehouse.sdk import BadRequest, Message, NotSupported, Tool

_OURS = {"conversation", "tools", "tokenize", "chat_template", "return_dict", "return_tensors", "padding", "truncation",
         "max_length", "return_assistant_tokens_mask", "tokenizer_kwargs"}  # fmt: skip
_ROLES = {"developer": "system", "function": "tool"}  # OpenAI's younger and older names for what templates know


def render(
    tokenizer: Any, template: str | None, messages: Rows[Message], tools: Rows[Tool], options: dict[str, Any]
) -> str:
    """The prompt. Raises BadRequest when the template refuses, NotSupported for what it cannot express."""
    if template is None and not getattr(tokenizer, "chat_template", None):
        raise NotSupported(
            "This model has no chat template, so it cannot chat; use /v1/completions, "
            "or register the model with a chat_template."
        )
    if taken := sorted(_OURS & set(options)):
        raise BadRequest(
            f"chat_template_kwargs may not hold {', '.join(taken)}; leave that out.", param="chat_template_kwargs"
        )
    turns = [plain(message) for message in messages]
    try:
        prompt: str = tokenizer.apply_chat_template(
            turns,
            tools=[msgspec.to_builtins(tool) for tool in tools] or None,
            chat_template=template,
            tokenize=False,
            **{"add_generation_prompt": True, **options},
        )
    except Exception as error:
        raise BadRequest(f"The model's chat template refused the messages: {error}", param="messages") from error
    return prompt


def plain(message: Message) -> dict[str, Any]:
    """A message as templates expect it: text instead of parts, the arguments of tool calls as objects."""
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
    if part.get("type", "text") != "text" or not isinstance(part.get("text"), str):
        raise NotSupported(
            f"This model reads text only, not a part of type {part.get('type')!r}; send parts of type 'text'.",
            param="messages",
        )
    text: str = part["text"]
    return text


def _arguments(arguments: str | dict[str, Any]) -> Any:
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return arguments
