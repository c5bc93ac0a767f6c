"""Parsers on one answer: reasoning first, tool calls in what is left."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ..sdk import Parser, ReasoningPart, TextPart, Tool, ToolCallPart

Part = TextPart | ReasoningPart | ToolCallPart
ParserClass = Callable[[str, tuple[dict[str, Any], ...]], Parser]
PROMPT_END = 200  # characters of the prompt that parsers see

_log = logging.getLogger(__name__)


class ParserChain:
    """Parsers in a row: each sees the text that the one before it let through."""

    def __init__(self, parsers: Sequence[Parser]) -> None:
        self._stages = [_Stage(parser) for parser in parsers]

    def feed(self, text: str) -> list[Part]:
        return self._pass([TextPart(text)], self._stages)

    def finish(self) -> list[Part]:
        """What was held back. The chain is used up."""
        parts: list[Part] = []
        for position, stage in enumerate(self._stages):
            parts += self._pass(stage.finish(), self._stages[position + 1 :])
        return parts

    def _pass(self, parts: list[Part], stages: Sequence[_Stage]) -> list[Part]:
        for stage in stages:
            parts = [
                out for part in parts for out in (stage.feed(part.text) if isinstance(part, TextPart) else (part,))
            ]
        return parts


class _Stage:
    """One parser, until it raises: from then on its text passes unread, what it had held back first."""

    def __init__(self, parser: Parser) -> None:
        self._parser: Parser | None = parser
        self._kept: deque[str] = deque()  # what was fed and has not come out yet; its first `_given` letters have
        self._given = 0

    def feed(self, text: str) -> list[Part]:
        self._kept.append(text)
        return self._guarded(lambda parser: parser.feed(text), text)

    def finish(self) -> list[Part]:
        return self._guarded(lambda parser: parser.finish(), "")

    def _guarded(self, use: Callable[[Parser], Iterable[Part]], text: str) -> list[Part]:
        if self._parser is None:
            return [TextPart(text)] if text else []
        try:
            parts = list(use(self._parser))
        except Exception:  # noqa: BLE001 - a parser is foreign code, and the answer is worth more than it
            _log.warning("Parser %s raised; the answer stays plain text.", type(self._parser).__name__, exc_info=True)
            self._parser = None
            return [TextPart(rest)] if (rest := "".join(self._kept)[self._given :]) else []
        self._count(parts)
        return parts

    def _count(self, parts: list[Part]) -> None:
        """Forgets what has come out. After anything but text that cannot be known exactly, so all is forgotten."""
        if not all(isinstance(part, TextPart) for part in parts):
            self._kept.clear()
            self._given = 0
            return
        self._given += sum(len(part.text) for part in parts if isinstance(part, TextPart))
        while self._kept and self._given >= len(self._kept[0]):
            self._given -= len(self._kept.popleft())


def needs_special_tokens(reasoning: ParserClass | None, tool: ParserClass | None, tools: tuple[Tool, ...]) -> bool:
    """Whether a parser of this answer looks for special tokens."""
    used = (reasoning, tool if tools else None)
    return any(getattr(parser, "needs_special_tokens", False) is True for parser in used)


def chain_of(
    reasoning: ParserClass | None, tool: ParserClass | None, prompt: str | list[int], tools: tuple[Tool, ...]
) -> ParserChain | None:
    """The parsers of one choice; tool calls are looked for only where tools were shown. None: all is plain text."""
    prompt_end = prompt[-PROMPT_END:] if isinstance(prompt, str) else ""
    shown = tuple(msgspec.to_builtins(each) for each in tools)
    classes = [parser for parser in (reasoning, tool if tools else None) if parser is not None]
    parsers = []
    for parser in classes:
        try:
            parsers.append(parser(prompt_end, shown))
        except Exception:  # noqa: BLE001 - as above
            _log.warning("Parser %r could not be made; the answer stays plain text.", parser, exc_info=True)
    return ParserChain(parsers) if parsers else None
