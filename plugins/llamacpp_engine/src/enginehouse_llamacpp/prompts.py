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
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from enginehouse.sdk import LaunchFailed, Message, Tool
from enginehouse.sdk.templates import (
    check_template_options,
    no_template,
    template_messages,
    template_refused,
    template_tools,
)

_OURS = frozenset({"messages", "tools", "documents", "bos_token", "eos_token"})


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
            raise no_template()
        check_template_options(options, _OURS)
        values = {**self._special, "add_generation_prompt": True, **options}
        values |= {"messages": template_messages(messages), "tools": template_tools(tools)}
        try:
            return self._template.render(values)
        except Exception as error:  # a template is foreign code
            raise template_refused(error) from error


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
