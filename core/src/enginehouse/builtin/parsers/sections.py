"""Sections of calls, each call with a header, JSON arguments and tags around them: DeepSeek V3, R1, V3.1, Kimi K2.

Sources: the chat templates of these models. DeepSeek V3 and R1 write the type, a tag, the name and a fenced block of
JSON; V3.1 the name, a tag and bare JSON; Kimi K2 an id `functions.name:index`, a tag and bare JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from ...sdk import TextPart, ToolCallPart
from .blocks import Block, BlockParser, Enclosed, Part
from .calls import NotACall, call, read_json
from .tags import ends_in_string


class Tags(NamedTuple):
    """section, section_end: around all calls; item, item_end: around each; separator: between header and arguments."""

    section: str
    section_end: str
    item: str
    item_end: str
    separator: str


Read = Callable[[str, str], ToolCallPart]
"""From header and arguments to a call."""

_DEEPSEEK = Tags(
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
)
_KIMI = Tags(
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|tool_call_begin|>",
    "<|tool_call_end|>",
    "<|tool_call_argument_begin|>",
)
_FENCED = re.compile(r"([^\n`]+)\n```(?:json)?\n(.*)\n?```", re.S)
_KIMI_ID = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


class SectionParser(BlockParser):
    """All calls of a section. One that is broken is text, the others are calls all the same."""

    tags: ClassVar[Tags]
    needs_special_tokens = True

    @staticmethod
    def read(header: str, arguments: str) -> ToolCallPart:
        raise NotImplementedError  # each format has its own

    def block(self, opening: str, hasty: bool) -> Block:
        tags, read = self.tags, self.read
        return Enclosed(
            tags.section_end,
            lambda body: _all(tags, read, body),
            salvage=lambda body: _some(tags, read, body),
            open_in=ends_in_string,
            begins=(tags.item,),
            hasty=hasty,
        )


class DeepseekV31Parser(SectionParser):
    """DeepSeek V3.1."""

    openings = (_DEEPSEEK.section,)
    tags = _DEEPSEEK

    @staticmethod
    def read(header: str, arguments: str) -> ToolCallPart:
        return call(header, read_json(arguments))


class DeepseekV3Parser(SectionParser):
    """DeepSeek V3 and R1; the form of V3.1 is understood too."""

    openings = (_DEEPSEEK.section,)
    tags = _DEEPSEEK

    @staticmethod
    def read(header: str, arguments: str) -> ToolCallPart:
        fenced = _FENCED.fullmatch(arguments.strip())
        if fenced is None:
            return DeepseekV31Parser.read(header, arguments)
        return call(fenced[1], read_json(fenced[2]))


class KimiK2Parser(SectionParser):
    """Kimi K2."""

    openings = (_KIMI.section,)
    tags = _KIMI

    @staticmethod
    def read(header: str, arguments: str) -> ToolCallPart:
        named = _KIMI_ID.fullmatch(header.strip())
        if named is None:
            raise NotACall("no name")
        return call(named[1], read_json(arguments))


def _all(tags: Tags, read: Read, body: str) -> Sequence[Part]:
    """Every call of the body. Raises NotACall when there is anything else in it."""
    parts: list[Part] = []
    at = _skip_space(body, 0)
    while at < len(body):
        part, at = _next(tags, read, body, at)
        parts.append(part)
    return parts


def _some(tags: Tags, read: Read, body: str) -> Sequence[Part]:
    """The calls of the body, and what is none as text."""
    parts: list[Part] = []
    for piece in re.split(f"(?<={re.escape(tags.item_end)})", body):
        try:
            parts += _all(tags, read, piece) or [TextPart(piece)]
        except NotACall:
            parts.append(TextPart(piece))
    return parts


def _next(tags: Tags, read: Read, body: str, at: int) -> tuple[ToolCallPart, int]:
    """The call at `at`, and where the next may begin."""
    begin = body.find(tags.separator, at)
    if begin < 0 or not body.startswith(tags.item, at):
        raise NotACall("no header")
    header = body[at + len(tags.item) : begin]
    begin += len(tags.separator)
    end = begin
    for _ in range(_MOST_TRIES):
        end = body.find(tags.item_end, end)
        if end < 0:
            break
        arguments, end = body[begin:end], end + len(tags.item_end)
        try:
            return read(header, arguments), _skip_space(body, end)
        except NotACall:
            if not ends_in_string(arguments):
                raise
    raise NotACall("no end")


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


_MOST_TRIES = 8  # end tags within strings of one call's arguments
