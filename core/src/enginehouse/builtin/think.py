"""Reasoning between <think> and </think>, at the start of an answer.

Source: the format of DeepSeek-R1 and Qwen3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ..sdk import ReasoningPart, TextPart
from .tags import held_back

OPEN, CLOSE = "<think>", "</think>"
_Part = TextPart | ReasoningPart


class ThinkParser:
    """Reasoning may be opened by the answer, or by a prompt that ends with the tag. Newlines next to a tag go.

    An answer that ends while it still reasons is all reasoning.
    """

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        self._pending = ""
        opened = prompt_end.rstrip().endswith(OPEN)
        self._state: Literal["start", "thinking", "closed", "text"] = "thinking" if opened else "start"
        self._silent = True  # nothing has come out of this reasoning yet

    def feed(self, text: str) -> Iterator[_Part]:
        self._pending += text
        if self._state == "start":
            self._open()
        if self._state == "thinking":
            yield from self._think()
        if self._state == "closed":
            self._pending = self._pending.lstrip("\n")
            self._state = "text" if self._pending else "closed"
        if self._state == "text" and self._pending:
            text, self._pending = self._pending, ""
            yield TextPart(text)

    def finish(self) -> Iterator[_Part]:
        """What was held back."""
        text, self._pending = self._pending, ""
        if self._state == "thinking":
            if text := text.strip("\n") if self._silent else text.rstrip("\n"):
                yield ReasoningPart(text)
        elif text:
            yield TextPart(text)

    def _open(self) -> None:
        seen = self._pending.lstrip()
        if seen.startswith(OPEN):
            self._pending, self._state = seen[len(OPEN) :], "thinking"
        elif not OPEN.startswith(seen):
            self._state = "text"

    def _think(self) -> Iterator[_Part]:
        thought, found, rest = self._pending.partition(CLOSE)
        if self._silent:
            thought = thought.lstrip("\n")
        if found:
            self._state = "closed"
            thought, self._pending = thought.rstrip("\n"), rest
        else:
            kept = len(thought) - held_back(thought, CLOSE)
            kept = len(thought[:kept].rstrip("\n"))
            thought, self._pending = thought[:kept], thought[kept:]
        if thought:
            self._silent = False
            yield ReasoningPart(thought)
