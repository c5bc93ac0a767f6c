"""Tool calls of Gemma.

Sources: the chat templates of Gemma 4 (<|tool_call>call:name{key:value}<tool_call|>, strings between <|"|>) and of
FunctionGemma (<start_function_call>call:name{key:value}<end_function_call>, strings between <escape>); for Gemma 3,
which has no tags of its own, Google's guides: a fenced block ```tool_code, a list in Python, or a JSON object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Enclosed
from .calls import NotACall, call, calls_of, read_json
from .llama import JsonOrPython
from .pythonic import decode_python
from .tags import ends_in_string

FENCE = "```"
_CODE, _JSON = f"{FENCE}tool_code\n", f"{FENCE}json\n"
_HEAD = re.compile(r"\s*call:\s*([^\s{}]+)\s*(?=\{)")
_WORD = re.compile(r"[^,:{}\[\]]+")
_DEEPEST = 64  # objects and lists in each other


class _Form(NamedTuple):
    closing: str
    quote: str


_GEMMA4 = _Form("<tool_call|>", '<|"|>')
_FUNCTION_GEMMA = _Form("<end_function_call>", "<escape>")


class Gemma4Parser(BlockParser):
    """Gemma 4."""

    openings = ("<|tool_call>",)
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return _tagged(_GEMMA4, hasty)


class FunctionGemmaParser(BlockParser):
    """FunctionGemma."""

    openings = ("<start_function_call>",)
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return _tagged(_FUNCTION_GEMMA, hasty)


class GemmaParser(BlockParser):
    """Any Gemma. What has no tag of its own counts only as a call of a tool of this request."""

    openings = ("<|tool_call>", "<start_function_call>", _CODE, _JSON)
    needs_special_tokens = True

    def starts(self) -> str:
        return "{[" if self._schemas else "{"

    def block(self, opening: str, hasty: bool) -> Block:
        match opening:
            case "":
                return JsonOrPython(self._schemas, known=True)
            case "<|tool_call>":
                return _tagged(_GEMMA4, hasty)
            case "<start_function_call>":
                return _tagged(_FUNCTION_GEMMA, hasty)
        if opening == _CODE:
            return Enclosed(FENCE, partial(self._decode_known, _decode_code), hasty=hasty)
        return Enclosed(FENCE, partial(self._decode_known, _decode_json), open_in=ends_in_string, hasty=hasty)

    def _decode_known(self, read: Callable[[str], list[ToolCallPart]], body: str) -> Sequence[ToolCallPart]:
        calls = read(body)
        if self._schemas and not all(each.name in self._schemas for each in calls):
            raise NotACall("no tool of this request")
        return calls


def _tagged(form: _Form, hasty: bool) -> Block:
    def open_in(body: str) -> bool:
        return body.count(form.quote) % 2 == 1

    return Enclosed(form.closing, partial(_decode_tagged, form.quote), open_in=open_in, begins=("call:",), hasty=hasty)


def _decode_json(body: str) -> list[ToolCallPart]:
    return calls_of(read_json(body))


def _decode_code(body: str) -> list[ToolCallPart]:
    """Calls on lines of their own, or over several."""
    try:
        return list(decode_python(body))
    except NotACall:
        return [each for line in body.splitlines() if line.strip() for each in decode_python(line)]


def _decode_tagged(quote: str, body: str) -> Sequence[ToolCallPart]:
    named = _HEAD.match(body)
    if named is None:
        raise NotACall("no name")
    reader = _Reader(body, named.end(), quote)
    arguments = reader.value(0)
    if body[reader.at :].strip():
        raise NotACall("more than a call")
    return [call(named[1], arguments)]


class _Reader:
    """Reads values that look like JSON with bare keys and with `quote` for quotes."""

    def __init__(self, text: str, at: int, quote: str) -> None:
        self.at = at
        self._text = text
        self._quote = quote

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise NotACall("too deep")
        self._skip_space()
        if self._takes("{"):
            return self._object(depth)
        if self._takes("["):
            return self._list(depth)
        return self._string() if self._takes(self._quote) else self._word()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self._ends("}", bool(found)):
            self._skip_space()
            key = self._string() if self._takes(self._quote) else self._bare()
            self._skip_space()
            if not self._takes(":"):
                raise NotACall("a key without a value")
            found[key] = self.value(depth + 1)
        return found

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while not self._ends("]", bool(found)):
            found.append(self.value(depth + 1))
        return found

    def _ends(self, bracket: str, with_comma: bool) -> bool:
        self._skip_space()
        if self._takes(bracket):
            return True
        if with_comma and not self._takes(","):
            raise NotACall("no comma")
        return False

    def _string(self) -> str:
        end = self._text.find(self._quote, self.at)
        if end < 0:
            raise NotACall("a string has no end")
        text, self.at = self._text[self.at : end], end + len(self._quote)
        return text

    def _bare(self) -> str:
        found = _WORD.match(self._text, self.at)
        if found is None:
            raise NotACall("nothing there")
        self.at = found.end()
        return found[0].strip().strip("\"'")

    def _word(self) -> Any:
        """A number, true, false or null; anything else is a string without quotes."""
        if self._text.startswith('"', self.at):
            return self._json_string()
        word = self._bare()
        try:
            return read_json(word)
        except NotACall:
            return {"None": None, "True": True, "False": False}.get(word, word)

    def _json_string(self) -> str:
        found = _JSON_STRING.match(self._text, self.at)
        if found is None:
            raise NotACall("a string has no end")
        self.at = found.end()
        return str(read_json(found[0]))

    def _takes(self, sign: str) -> bool:
        if not self._text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _skip_space(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1


_JSON_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.S)
