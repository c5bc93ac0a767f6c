"""Calls that the model has to make, on any engine that honours a JSON schema.

The answer is constrained to be the call as plain JSON, whatever the model's own way to write calls: the arguments alone
where the function is named, else a list of calls. So no parser of the model's is needed to read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ..sdk import BadRequest, ChatRequest, Constraint, NotSupported, Tool, ToolCallPart
from ..sdk.parsers import Part, TextPart
from .hosting import Hosted

MOST_CALLS = 8  # in one answer: where a model must call, it may also not find an end
_DEFINITIONS = ("$defs", "definitions")
_NOTHING: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
_encode = msgspec.json.Encoder().encode


class Forced(NamedTuple):
    """What an answer has to call. name: the one function, or None for any."""

    name: str | None
    constraint: Constraint


class ForcedCalls:
    """The parser of an answer that is forced; one that was cut short stays text."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._text = ""

    def feed(self, text: str) -> Iterable[Part]:
        self._text += text
        return ()

    def finish(self) -> Iterable[Part]:
        try:
            found = msgspec.json.decode(self._text)
        except msgspec.DecodeError:
            return (TextPart(self._text),) if self._text else ()
        if self._name is not None:
            return (ToolCallPart(self._name, self._text),)
        return tuple(ToolCallPart(call["name"], _encode(call["arguments"]).decode()) for call in found)


def forced_of(request: ChatRequest, tools: tuple[Tool, ...], hosted: Hosted) -> Forced | None:
    """What tool_choice forces. Raises NotSupported where the engine cannot, BadRequest for an unknown function."""
    choice = request.tool_choice
    if choice in (None, "auto", "none"):
        return None
    name = None if choice == "required" else _named(choice, tools)
    if not tools:
        raise BadRequest("tool_choice 'required' needs `tools`; give some, or leave it out.", param="tool_choice")
    if "json_schema" not in hosted.constraints:
        raise NotSupported(
            f"tool_choice {choice!r} cannot be forced on engine {hosted.engine_name}; use 'auto' and ask for the call "
            "in the prompt.",
            param="tool_choice",
        )
    most = 1 if request.parallel_tool_calls is False else MOST_CALLS
    schema = _parameters(tools, name) if name is not None else _calls(tools, most)
    text = _encode(schema).decode()
    return Forced(name, Constraint(kind="json_schema", text=text, param="tool_choice"))


def _named(choice: str | dict[str, Any] | None, tools: tuple[Tool, ...]) -> str:
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise BadRequest(
            f"tool_choice is {choice!r}; it may be 'none', 'auto', 'required' or "
            '{"type": "function", "function": {"name": ...}}.',
            param="tool_choice",
        )
    if name not in (known := [tool.function.name for tool in tools]):
        raise BadRequest(
            f"tool_choice names {name!r}, which is not among `tools`: {', '.join(known)}.", param="tool_choice"
        )
    return name


def _parameters(tools: tuple[Tool, ...], name: str) -> dict[str, Any]:
    return next(tool.function.parameters for tool in tools if tool.function.name == name) or _NOTHING


def _calls(tools: tuple[Tool, ...], most: int) -> dict[str, Any]:
    """The schema of a list of calls; what the parameters define for all to refer to moves to its top."""
    shared: dict[str, dict[str, Any]] = {}
    calls = [_call(tool, shared) for tool in tools]
    return {**shared, "type": "array", "minItems": 1, "maxItems": most, "items": {"anyOf": calls}}


def _call(tool: Tool, shared: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parameters = tool.function.parameters or _NOTHING
    for word in _DEFINITIONS:
        for name, schema in (parameters.get(word) or {}).items():
            if shared.setdefault(word, {}).setdefault(name, schema) != schema:
                raise NotSupported(
                    f"Two of `tools` define {word}/{name} differently, so the choice cannot be left to the "
                    "model; name the function in tool_choice, or rename one definition.",
                    param="tools",
                )
    own = {key: value for key, value in parameters.items() if key not in _DEFINITIONS}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.function.name}, "arguments": own},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
