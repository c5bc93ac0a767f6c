"""Tool calls of GLM.

Sources: the chat templates of GLM-4.5 (<tool_call>name<arg_key>..</arg_key><arg_value>..</arg_value></tool_call>, what
is no string being JSON) and of GLM-4 (the tool's name on a line of its own, its arguments as JSON below).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Enclosed, Value
from .calls import NotACall, Schemas, call, read_json, typed

_NAME = re.compile(r"\s*([^\s<>{}]+)\s*(?=<arg_key>|\Z)")
_KEY = re.compile(r"<arg_key>([^<>]+)</arg_key>\s*<arg_value>")
_VALUE_END = re.compile(r"</arg_value>\s*(?=<arg_key>|\Z)")


class Glm45Parser(BlockParser):
    """GLM-4.5 and its successors. One call in each block."""

    openings = ("<tool_call>",)
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return Enclosed("</tool_call>", partial(_decode, self._schemas), open_in=_open_in, hasty=hasty)


class Glm4Parser(BlockParser):
    """GLM-4: no tags, so a call is known by the name of a tool at the start of an answer."""

    def starts(self) -> str:
        return "".join({name.strip()[:1] for name in self._schemas})

    def block(self, opening: str, hasty: bool) -> Block:
        return Value(self._decode, begins=tuple(name + "{" for name in self._schemas))

    def _decode(self, body: str) -> Sequence[ToolCallPart]:
        name, brace, arguments = body.partition("{")
        if name.strip() not in self._schemas:
            raise NotACall("no tool of this request")
        return [call(name, read_json(brace + arguments))]


def _decode(schemas: Schemas, body: str) -> Sequence[ToolCallPart]:
    named = _NAME.match(body)
    if named is None:
        raise NotACall("no name")
    name, at = named[1], named.end()
    schema = schemas.get(name, {})
    arguments = {}
    while key := _KEY.match(body, at):
        end = _VALUE_END.search(body, key.end())
        if end is None:
            raise NotACall("a value has no end")
        key_name = key[1].strip()
        arguments[key_name] = typed(body[key.end() : end.start()], schema.get(key_name))
        at = end.end()
    if body[at:].strip():
        raise NotACall("more than a call")
    return [call(name, arguments)]


def _open_in(body: str) -> bool:
    return body.rfind("<arg_value>") > body.rfind("</arg_value>")
