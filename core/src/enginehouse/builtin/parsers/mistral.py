"""Tool calls of Mistral: [TOOL_CALLS] and a JSON list, or since tokenizer version 11 a name, [ARGS] and an object.

Source: mistral-common's tokenizers; version 11 has [CALL_ID] and an id between name and [ARGS], version 13 has not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ...sdk import ToolCallPart
from .blocks import Block, BlockParser, Part, Value
from .calls import call, calls_of, read_json

_HEAD = re.compile(r"\s*([^\s{}[\]]+)\s*(?:\[CALL_ID\]\s*[^\s{}[\]]*\s*)?(?:\[ARGS\]\s*)?")
_LONGEST_HEAD = 300  # letters before the arguments


class MistralParser(BlockParser):
    """A block holds a list of calls, or one."""

    openings = ("[TOOL_CALLS]",)
    needs_special_tokens = True

    def block(self, opening: str, hasty: bool) -> Block:
        return _Calls()


class _Calls:
    """Looks for where the JSON begins, and leaves the rest to `Value`."""

    def __init__(self) -> None:
        self.parts: Sequence[Part] | None = None
        self.rest = ""
        self._head = ""
        self._value: Value | None = None

    def feed(self, text: str) -> int | None:
        offset = 0
        if self._value is None:
            begin = self._begin_in(text)
            if begin is None or self._value is None:
                return begin
            text, offset = text[begin:], begin
        end = self._value.feed(text)
        self.parts = self._value.parts
        return None if end is None else end + offset

    def finish(self, body: str) -> None:
        """A value that was whole has its parts already."""

    def _begin_in(self, text: str) -> int | None:
        """Where the JSON begins, or where it is clear that none will (then there is no `_value`); None: later."""
        for position, letter in enumerate(text):
            if letter == "{" or (letter == "[" and not self._head.strip()):
                return self._begin(position)
            self._head += letter
            if len(self._head) > _LONGEST_HEAD:
                return position
        return None

    def _begin(self, position: int) -> int:
        if not self._head.strip():
            self._value = Value(_decode_list)
        elif named := _HEAD.fullmatch(self._head):
            self._value = Value(partial(_decode_arguments, named[1]))
        return position


def _decode_list(body: str) -> Sequence[ToolCallPart]:
    return calls_of(read_json(body))


def _decode_arguments(name: str, body: str) -> Sequence[ToolCallPart]:
    return [call(name, read_json(body))]
