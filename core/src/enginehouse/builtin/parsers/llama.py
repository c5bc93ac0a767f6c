"""Tool calls of Llama 3 and 4.

Source: Meta's prompt formats of Llama 3.1 to 4: a JSON object with `name` and `parameters`, perhaps after
<|python_tag|>, several with ";" between them; <function=name>{...}</function>; a list in Python, in Llama 4 perhaps
between <|python_start|> and <|python_end|>.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Enclosed, Part, Value
from .calls import NotACall, Schemas, call, calls_of, read_json
from .pythonic import QUOTES, decode_python, list_beginnings
from .tags import ends_in_string

_KEYS = ("name", "type", "function", "parameters", "arguments", "id")
OBJECT_BEGINNINGS = tuple(f'{{"{key}"' for key in _KEYS)
"""How a call as a JSON object begins."""


class LlamaParser(BlockParser):
    """What needs no tag counts at the start of an answer only, and only as a call of a tool of this request."""

    openings = ("<|python_tag|>", "<|python_start|>", "<function=")
    gap = ";"

    def starts(self) -> str:
        return "{[" if self._schemas else "{"

    def block(self, opening: str, hasty: bool) -> Block:
        if opening == "<function=":
            return Enclosed("</function>", _decode_function, open_in=ends_in_string, hasty=hasty)
        if opening == "<|python_start|>":
            return Value(decode_python, begins=list_beginnings(self._schemas), quotes=QUOTES, closing="<|python_end|>")
        return JsonOrPython(self._schemas, known=not opening)


class JsonOrPython:
    """A JSON object or a list in Python, whichever the first letter says. known: only tools of the request count."""

    def __init__(self, schemas: Schemas, known: bool) -> None:
        self.parts: Sequence[Part] | None = None
        self.rest = ""
        self._schemas = schemas
        self._known = known
        self._value: Value | None = None

    def feed(self, text: str) -> int | None:
        if self._value is None and text.strip():
            self._value = self._value_for(text.lstrip()[0])
        if self._value is None:
            return None
        end = self._value.feed(text)
        self.parts = self._value.parts
        return end

    def finish(self, body: str) -> None:
        """A value that was whole has its parts already."""

    def _value_for(self, letter: str) -> Value:
        if letter == "[":
            return Value(self._decode_python, begins=list_beginnings(self._schemas), quotes=QUOTES)
        return Value(self._decode_json, begins=OBJECT_BEGINNINGS)

    def _decode_json(self, body: str) -> Sequence[ToolCallPart]:
        return self._checked(calls_of(read_json(body)))

    def _decode_python(self, body: str) -> Sequence[ToolCallPart]:
        return self._checked(decode_python(body))

    def _checked(self, calls: Sequence[ToolCallPart]) -> Sequence[ToolCallPart]:
        if self._known and self._schemas and not all(each.name in self._schemas for each in calls):
            raise NotACall("no tool of this request")
        return calls


def _decode_function(body: str) -> Sequence[ToolCallPart]:
    name, _, arguments = body.partition(">")
    return [call(name, read_json(arguments))]
