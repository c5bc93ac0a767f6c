"""Conversations as prompts, by the model's own chat template.

What a template may use is what transformers gives it: Jinja in a sandbox, trimmed blocks, `break` and `continue`,
`raise_exception`, `strftime_now`, a `tojson` that leaves letters as they are, and the special tokens by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Any

import jinja2
import msgspec
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from enginehouse.sdk import BadRequest, LaunchFailed, Message, NotSupported, Tool

_OURS = frozenset({"messages", "tools", "documents", "bos_token", "eos_token"})
_ROLES = {"developer": "system", "function": "tool"}  # OpenAI's younger and older names for what templates know


class ChatTemplate:
    """A model's chat template. special: the texts of "bos_token" and the like."""

    def __init__(self, source: str | None, special: Mapping[str, str]) -> None:
        """Raises LaunchFailed when it is no Jinja."""
        try:
            self._template = None if source is None else _environment().from_string(source)
        except jinja2.TemplateError as error:
            raise LaunchFailed(
                f"The chat template cannot be read: {error}. Register the model with another."
            ) from error
        self._special = dict(special)

    def render(self, messages: Rows[Message], tools: Rows[Tool], options: dict[str, Any]) -> str:
        """The prompt. Raises BadRequest when the template refuses, NotSupported for what it cannot express."""
        if self._template is None:
            raise NotSupported(
                "This model has no chat template, so it cannot chat; use /v1/completions, "
                "or register the model with a chat_template."
            )
        if taken := sorted(_OURS & set(options)):
            raise BadRequest(
                f"chat_template_kwargs may not hold {', '.join(taken)}; leave that out.", param="chat_template_kwargs"
            )
        values = {**self._special, "add_generation_prompt": True, **options}
        values["messages"] = [_plain(message) for message in messages]
        values["tools"] = [msgspec.to_builtins(tool) for tool in tools] or None
        try:
            return self._template.render(values)
        except Exception as error:
            raise BadRequest(f"The model's chat template refused the messages: {error}", param="messages") from error


class _Generation(Extension):
    """`{% generation %}`, which marks an assistant's words for training, and means nothing here."""

    tags = {"generation"}  # noqa: RUF012 - so the base class has it

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _plain(message: Message) -> dict[str, Any]:
    """A message as templates expect it: text instead of parts, the arguments of tool calls as objects."""
    turn: dict[str, Any] = msgspec.to_builtins(message)
    turn["role"] = _ROLES.get(message.role, message.role)
    turn["content"] = _text(message.content)
    for call in turn.get("tool_calls") or ():
        call["function"]["arguments"] = _arguments(call["function"].get("arguments", "{}"))
    return turn


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if not isinstance(content, list):
        return content or ""
    odd = [part for part in content if part.get("type", "text") != "text" or not isinstance(part.get("text"), str)]
    if odd:
        raise NotSupported(
            f"This model reads text only, not a part of type {odd[0].get('type')!r}; send parts of type 'text'.",
            param="messages",
        )
    return "".join(part["text"] for part in content)


def _arguments(arguments: str | dict[str, Any]) -> Any:
    if isinstance(arguments, str):
        try:
            return json.loads(arguments)
        except ValueError:
            return arguments
    return arguments
