"""Tool calls in the Hermes form: <tool_call>{"name": ..., "arguments": {...}}</tool_call>.

Source: the function-calling format of the Nous Hermes 2 Pro model card, which Qwen and others adopted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..sdk import TextPart, ToolCallPart
from .tags import held_back

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_Part = TextPart | ToolCallPart


class HermesParser:
    """Finds whole calls; a call that is broken or never closed comes back as the text it was.

    White space next to a call is dropped; elsewhere text passes as it is.
    """

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        self._pending = ""
        self._in_call = False
        self._after_call = False
        self._gap = ""  # white space before the call being read

    def feed(self, text: str) -> Iterator[_Part]:
        self._pending += text
        while (part := self._next()) is not None:
            yield part

    def finish(self) -> Iterator[_Part]:
        """What was held back: the start of a tag, white space, or a call without its end."""
        text, self._pending = self._pending, ""
        if self._in_call:
            text = self._gap + OPEN + text
        elif self._after_call:
            text = text.lstrip()
        if text:
            yield TextPart(text)

    def _next(self) -> _Part | None:
        return self._next_call() if self._in_call else self._next_text()

    def _next_call(self) -> _Part | None:
        body, found, rest = self._pending.partition(CLOSE)
        if not found:
            return None
        self._pending, self._in_call = rest, False
        call = _call_of(body)
        self._after_call = call is not None
        return call or TextPart(self._gap + OPEN + body + CLOSE)

    def _next_text(self) -> _Part | None:
        if self._after_call:
            self._pending = self._pending.lstrip()
        before, found, rest = self._pending.partition(OPEN)
        if found:
            self._pending, self._in_call = rest, True
            text = before.rstrip()
            self._gap = before[len(text) :]
        else:
            kept = len(before) - held_back(before, OPEN)
            kept = len(before[:kept].rstrip())  # white space goes out with what follows it, unless that is a call
            text, self._pending = before[:kept], before[kept:]
        if text:
            self._after_call = False
            return TextPart(text)
        return self._next_call() if found else None


def _call_of(body: str) -> ToolCallPart | None:
    try:
        call = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    if isinstance(arguments, str):
        return ToolCallPart(call["name"], arguments)
    return ToolCallPart(call["name"], msgspec.json.encode(arguments).decode())
