"""Tool calls as <invoke name=".."><parameter name="..">value</parameter></invoke>: MiniMax M2, DeepSeek V3.2 and V4.

Sources: the chat templates of these models. MiniMax M2 writes bare text, and JSON for what is no string; DeepSeek
says of each parameter whether it is a string. MiniMax M1 writes lines of JSON within <tool_calls>.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ...sdk import TextPart, ToolCallPart
from .blocks import Block, BlockParser, Enclosed, Part
from .calls import NotACall, Schemas, call, call_of, json_values, read_json, typed
from .tags import ends_in_string


class _Words:
    """The tags of one format; `mark` stands before every tag's name."""

    def __init__(self, mark: str) -> None:
        self.begin = f"<{mark}invoke name="
        self.end = f"</{mark}invoke>"
        self.value = f"<{mark}parameter "
        self.value_end = f"</{mark}parameter>"
        self.invoke = re.compile(rf"\s*<{mark}invoke name=\"?([^\"<>]+)\"?>\s*")
        self.key = re.compile(rf"<{mark}parameter name=\"?([^\"<>]+?)\"?(?: string=\"(true|false)\")?>")
        self.close = re.compile(rf"</{mark}parameter>\s*(?=<{mark}parameter |</{mark}invoke>)")

    def open_in(self, body: str) -> bool:
        return body.rfind(self.value) > body.rfind(self.value_end)


_MINIMAX, _DEEPSEEK = _Words(""), _Words("｜DSML｜")


class MiniMaxParser(BlockParser):
    """MiniMax M1 and M2."""

    openings = ("<minimax:tool_call>", "<tool_calls>")
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        if opening == "<tool_calls>":
            return Enclosed(
                "</tool_calls>", _lines, salvage=_some_lines, open_in=ends_in_string, begins=("{",), hasty=hasty
            )
        return _block("</minimax:tool_call>", _MINIMAX, self._schemas, hasty)


class DeepseekV32Parser(BlockParser):
    """DeepSeek V3.2 and V4."""

    openings = ("<｜DSML｜function_calls>", "<｜DSML｜tool_calls>")
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return _block(opening.replace("<", "</"), _DEEPSEEK, self._schemas, hasty)


def _block(closing: str, words: _Words, schemas: Schemas, hasty: bool) -> Block:
    return Enclosed(
        closing,
        partial(_all, words, schemas),
        salvage=partial(_some, words, schemas),
        open_in=words.open_in,
        begins=(words.begin,),
        hasty=hasty,
    )


def _lines(body: str) -> Sequence[ToolCallPart]:
    return [call_of(value) for value in json_values(body)]


def _some_lines(body: str) -> Sequence[Part]:
    """A call from each line that is one, the others as text."""
    parts: list[Part] = []
    for line in body.splitlines(keepends=True):
        try:
            parts.append(call_of(read_json(line)))
        except NotACall:
            parts.append(TextPart(line))
    return parts


def _all(words: _Words, schemas: Schemas, body: str) -> Sequence[ToolCallPart]:
    """Every call of the body. Raises NotACall when there is anything else in it."""
    calls: list[ToolCallPart] = []
    at, end = 0, len(body.rstrip())
    while at < end:
        part, at = _next(words, schemas, body, at)
        calls.append(part)
    return calls


def _some(words: _Words, schemas: Schemas, body: str) -> Sequence[Part]:
    """The calls of the body, and what is none as text."""
    parts: list[Part] = []
    for piece in re.split(f"(?<={re.escape(words.end)})", body):
        try:
            parts += _all(words, schemas, piece) or [TextPart(piece)]
        except NotACall:
            parts.append(TextPart(piece))
    return parts


def _next(words: _Words, schemas: Schemas, body: str, at: int) -> tuple[ToolCallPart, int]:
    """The call at `at`, and where it ends."""
    named = words.invoke.match(body, at)
    if named is None:
        raise NotACall("no name")
    name, at = named[1], named.end()
    schema = schemas.get(name, {})
    arguments = {}
    while key := words.key.match(body, at):
        end = words.close.search(body, key.end())
        if end is None:
            raise NotACall("a value has no end")
        text = body[key.end() : end.start()]
        arguments[key[1]] = _value(text, key[2], schema.get(key[1]))
        at = end.end()
    if not body.startswith(words.end, at):
        raise NotACall("no end")
    return call(name, arguments), at + len(words.end)


def _value(text: str, is_string: str | None, schema: object) -> object:
    match is_string:
        case "true":
            return text
        case "false":
            return typed(text, {})
    return typed(text, schema)
