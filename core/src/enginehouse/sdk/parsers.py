"""Parsers: from a model's text to content, reasoning and tool calls.

A parser is pure: text in, events out, no matter where the text is cut. One that raises is dropped by the
runner and the rest of the answer stays plain text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec


class TextPart(msgspec.Struct, frozen=True):
    """Text of the answer."""

    text: str


class ReasoningPart(msgspec.Struct, frozen=True):
    """Text of the model's reasoning, without its tags."""

    text: str


class ToolCallPart(msgspec.Struct, frozen=True):
    """One whole tool call; `arguments` is a JSON object as text."""

    name: str
    arguments: str


Part = TextPart | ReasoningPart | ToolCallPart


class Parser(Protocol):
    """Fed with text as it arrives; `finish` gives what was held back. One object serves one answer.

    `prompt_end` is the end of the rendered prompt (up to 200 characters): a template that opens the
    reasoning itself leaves its tag there. `tools` are the request's tools (OpenAI shape), maybe none.

    A class may set `needs_special_tokens = True` when tags of its format are special tokens of the vocabulary, which
    text leaves out otherwise; see `GenerateRequest.keep_special_tokens`.
    """

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None: ...

    def feed(self, text: str) -> Iterable[Part]: ...

    def finish(self) -> Iterable[Part]: ...


class ParserSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A parser. kind: what it finds; parser: "module:Class" with the shape of `Parser`, importing only the sdk."""

    name: str
    kind: Literal["tool", "reasoning"]
    parser: str
    summary: str = ""
