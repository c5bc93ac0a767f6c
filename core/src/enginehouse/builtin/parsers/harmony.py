"""Messages in channels, as gpt-oss writes them: reasoning, tool calls and the answer are messages of their own.

Source: OpenAI's description of the harmony format. A message is <|start|>, its role, <|channel|>, the channel, perhaps
a recipient `to=functions.name`, <|message|>, its text, and <|end|>, <|call|> or <|return|>. The prompt ends with the
role, so that an answer begins with <|channel|>.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

from ...sdk import ReasoningPart, TextPart, ToolCallPart
from .calls import NotACall, call, read_json
from .tags import either, held_back, sliced

Part = TextPart | ReasoningPart | ToolCallPart

_HEADS = ("<|start|>", "<|channel|>")
_MESSAGE = "<|message|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_TO = re.compile(r"\bto=([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_LONGEST_HEAD = 400  # letters; a header is a few words

_Kind = Literal["reasoning", "answer", "call", "other"]


class _Message(NamedTuple):
    """The message that is being read. head: as it was written."""

    kind: _Kind
    head: str
    name: str


class _HarmonyParser:
    """Takes messages apart. What `wanted` does not name is let through as it was, tags and all."""

    wanted: ClassVar[tuple[_Kind, ...]]
    needs_special_tokens: ClassVar[bool] = True

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        self._out: list[Part] = []
        self._tail = ""
        self._head: list[str] | None = None  # of a message whose text has not begun
        self._message: _Message | None = None
        self._body: list[str] = []  # of a call
        self._read: Callable[[str], str] = self._outside

    def feed(self, text: str) -> list[Part]:
        for piece in sliced(text):
            piece, self._tail = self._tail + piece, ""
            while piece:
                piece = self._read(piece)
        return self._taken()

    def finish(self) -> list[Part]:
        """What was held back: a header without its text, or a call, which needs no end."""
        if self._head is not None:
            self._say("".join(self._head))
            self._head = None
        if self._message is not None:
            if self._tail:
                self._pass(self._message, self._tail)
                self._tail = ""
            self._end(self._message, "")
        self._say(self._tail)
        self._tail = ""
        return self._taken()

    def _taken(self) -> list[Part]:
        out, self._out = self._out, []
        return out

    def _say(self, text: str) -> None:
        if text:
            self._out.append(TextPart(text))

    def _outside(self, text: str) -> str:
        """Text that is in no message."""
        found = _ANY_HEAD.search(text)
        if found is None:
            kept = len(text) - held_back(text, *_HEADS)
            self._say(text[:kept])
            self._tail = text[kept:]
            return ""
        self._say(text[: found.start()])
        self._head = [found[0]]
        self._read = self._header
        return text[found.end() :]

    def _header(self, text: str) -> str:
        """Up to where the text of the message begins; a header that is too long is none."""
        assert self._head is not None
        found = text.find(_MESSAGE)
        before = sum(map(len, self._head))
        end = len(text) - held_back(text, _MESSAGE) if found < 0 else found
        if before + end > _LONGEST_HEAD:
            cut = max(_LONGEST_HEAD - before, 0)
            self._say("".join((*self._head, text[:cut])))
            self._head, self._read = None, self._outside
            return text[cut:]
        if found < 0:
            self._head.append(text[:end])
            self._tail = text[end:]
            return ""
        end = found + len(_MESSAGE)
        self._begin("".join((*self._head, text[:end])))
        return text[end:]

    def _begin(self, head: str) -> None:
        self._head = None
        self._message = _message_of(head)
        self._read = self._inside
        if self._message.kind not in self.wanted:
            self._say(head)

    def _inside(self, text: str) -> str:
        assert self._message is not None
        found = _ANY_END.search(text)
        kept = found.start() if found else len(text) - held_back(text, *_ENDS, _HEADS[0])
        if kept:
            self._pass(self._message, text[:kept])
        if found is None:
            self._tail = text[kept:]
            return ""
        begins_another = found[0] not in _ENDS
        self._end(self._message, "" if begins_another else found[0])
        return text[kept:] if begins_another else text[found.end() :]

    def _pass(self, message: _Message, text: str) -> None:
        if message.kind not in self.wanted or message.kind == "answer":
            self._say(text)
        elif message.kind == "reasoning":
            self._out.append(ReasoningPart(text))
        else:
            self._body.append(text)

    def _end(self, message: _Message, tag: str) -> None:
        body, self._body = "".join(self._body), []
        self._message, self._read = None, self._outside
        if message.kind not in self.wanted:
            self._say(tag)
        elif message.kind == "call":
            try:
                self._out.append(call(message.name, read_json(body or "{}")))
            except NotACall:
                self._say(message.head + body + tag)


class HarmonyReasoningParser(_HarmonyParser):
    """The analysis is reasoning, the final channel and what is told beside a call are text; calls are let through."""

    wanted = ("reasoning", "answer")


class HarmonyToolParser(_HarmonyParser):
    """Messages to functions are calls, the final channel is text; reasoning is let through."""

    wanted = ("call", "answer")


def _message_of(head: str) -> _Message:
    to, channel = _TO.search(head), _CHANNEL.search(head)
    if to is not None:
        space, dot, name = to[1].partition(".")
        return _Message("call" if space == "functions" and dot and name else "other", head, name)
    match channel[1] if channel else "":
        case "analysis":
            return _Message("reasoning", head, "")
        case "final" | "commentary":
            return _Message("answer", head, "")
    return _Message("other", head, "")


_ANY_HEAD = either(_HEADS)
_ANY_END = either((*_ENDS, _HEADS[0]))
