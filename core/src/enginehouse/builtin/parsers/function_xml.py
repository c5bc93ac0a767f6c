"""Tool calls as tags with bare text between them: <function=name><parameter=key>value</parameter></function>.

Source: the chat templates of Qwen3-Coder (within <tool_call>) and of Seed-OSS (within <seed:tool_call>). What is no
string there is JSON, or a Python literal, so that the tool's schema says what a value is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Enclosed
from .calls import NotACall, Schemas, call, typed

_NAME = re.compile(r"\s*<function=([^<>\n]+)>\s*")
_KEY = re.compile(r"<parameter=([^<>\n]+)>")
_VALUE_END = re.compile(r"</parameter>\s*(?=<parameter=|</function>)")
_END = re.compile(r"</function>\s*\Z")


class FunctionXmlParser(BlockParser):
    """Qwen3-Coder. One call in each block."""

    openings = ("<tool_call>",)
    closing = "</tool_call>"

    def block(self, opening: str, hasty: bool) -> Block:
        decode = partial(_decode, self._schemas)
        return Enclosed(self.closing, decode, open_in=_open_in, begins=("<function=",), hasty=hasty)


class SeedParser(FunctionXmlParser):
    """Seed-OSS."""

    openings = ("<seed:tool_call>",)
    closing = "</seed:tool_call>"
    needs_special_tokens = True


def _decode(schemas: Schemas, body: str) -> Sequence[ToolCallPart]:
    named = _NAME.match(body)
    if named is None:
        raise NotACall("no name")
    name, at = named[1].strip(), named.end()
    schema = schemas.get(name, {})
    arguments = {}
    while key := _KEY.match(body, at):
        end = _VALUE_END.search(body, key.end())
        if end is None:
            raise NotACall("a value has no end")
        key_name = key[1].strip()
        arguments[key_name] = typed(_unwrapped(body[key.end() : end.start()]), schema.get(key_name))
        at = end.end()
    if not _END.match(body, at):
        raise NotACall("no end")
    return [call(name, arguments)]


def _unwrapped(value: str) -> str:
    """A value without the line break on either side that belongs to the format."""
    return value.removeprefix("\n").removesuffix("\n")


def _open_in(body: str) -> bool:
    return body.rfind("<parameter=") > body.rfind("</parameter>")
