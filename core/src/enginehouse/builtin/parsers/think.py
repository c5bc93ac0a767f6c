"""Reasoning between two tags, at the start of an answer.

Sources: the chat templates of DeepSeek R1, Qwen3 and GLM-4.5 (<think>), Seed-OSS (<seed:think>), Magistral ([THINK]),
Gemma 4 (<|channel>thought), Granite 3.2 (two sentences) and Granite 3.3 (<think>, then <response>).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from ...sdk import ReasoningPart, TextPart
from .tags import either, held_back

_Part = TextPart | ReasoningPart


class ThinkParser:
    """Reasoning may be opened by the answer, or by a prompt that ends with the tag. Newlines next to a tag go.

    An answer that ends while it still reasons is all reasoning. opens, closes: tags, or other words that mean the same.
    answer: tags around what follows the reasoning, left out.
    """

    opens: ClassVar[tuple[str, ...]] = ("<think>",)
    closes: ClassVar[tuple[str, ...]] = ("</think>",)
    answer: ClassVar[tuple[str, str] | None] = None
    needs_special_tokens: ClassVar[bool] = False

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        opened = prompt_end.rstrip().endswith(self.opens)
        self._state: Literal["start", "thinking", "closed", "text"] = "thinking" if opened else "start"
        self._close = either(self.closes)
        self._held: list[str] = []  # white space before a tag
        self._tail = ""  # what may become a tag
        self._silent = True  # nothing has come out of this reasoning yet
        self._answered = False  # the answer's own opening tag was left out

    def feed(self, text: str) -> Iterator[_Part]:
        text, self._tail = self._tail + text, ""
        if self._state == "start":
            text = self._open(text)
        if self._state == "thinking":
            said, text = self._think(text)
            yield from said
        if self._state == "closed":
            text = self._begin(text)
        if self._state == "text" and (text := self._unclosed(text)):
            yield TextPart(text)

    def finish(self) -> Iterator[_Part]:
        """What was held back."""
        text = "".join((*self._held, self._tail))
        self._held, self._tail = [], ""
        if self._state == "thinking":
            if text := text.strip("\n") if self._silent else text.rstrip("\n"):
                yield ReasoningPart(text)
        elif text:
            yield TextPart(text)

    def _open(self, text: str) -> str:
        """Leaves out the opening tag; what follows it is given back."""
        rest = text.lstrip()
        self._held.append(text[: len(text) - len(rest)])
        for tag in self.opens:
            if rest.startswith(tag):
                self._held, self._state = [], "thinking"
                return rest[len(tag) :]
        if any(tag.startswith(rest) for tag in self.opens):
            self._tail = rest
            return ""
        self._state = "text"
        text = "".join((*self._held, rest))
        self._held = []
        return text

    def _think(self, text: str) -> tuple[list[_Part], str]:
        """The reasoning in a slice, and what follows it."""
        found = self._close.search(text)
        kept = found.start() if found else len(text) - held_back(text, *self.closes)
        thought = text[:kept]
        if self._silent:
            thought = thought.lstrip("\n")
        core = thought.rstrip("\n")
        said: list[_Part] = []
        if core:
            said.append(ReasoningPart("".join((*self._held, core))))
            self._held, self._silent = [], False
        if found:
            self._held, self._state = [], "closed"
            return said, text[found.end() :]
        self._held.append(thought[len(core) :])
        self._tail = text[kept:]
        return said, ""

    def _begin(self, text: str) -> str:
        """Leaves out line breaks before the answer, and its opening tag."""
        text = text.lstrip("\n")
        tag = self.answer[0] if self.answer else ""
        if tag and not self._answered and text.startswith(tag):
            self._answered, text = True, text[len(tag) :].lstrip("\n")
        if not text or (tag and not self._answered and tag.startswith(text)):
            self._tail = text
            return ""
        self._state = "text"
        return text

    def _unclosed(self, text: str) -> str:
        """Leaves out the answer's closing tag where there was an opening one."""
        if not self._answered or self.answer is None:
            return text
        before, found, after = text.partition(self.answer[1])
        if found:
            self._answered = False
            return before + after
        kept = len(text) - held_back(text, self.answer[1])
        self._tail = text[kept:]
        return text[:kept]


class SeedThinkParser(ThinkParser):
    """Seed-OSS."""

    opens = ("<seed:think>", "<seed:think><seed:cot_budget_reflect>")  # the latter by a prompt that allows no thoughts
    closes = ("</seed:think>",)
    needs_special_tokens = True


class MistralThinkParser(ThinkParser):
    """Magistral: [THINK] since tokenizer version 13, <think> before."""

    opens = ("[THINK]", "<think>")
    closes = ("[/THINK]", "</think>")
    needs_special_tokens = True


class Gemma4ThinkParser(ThinkParser):
    """Gemma 4."""

    opens = ("<|channel>thought",)
    closes = ("<channel|>",)
    needs_special_tokens = True


class GraniteThinkParser(ThinkParser):
    """Granite 3.2, which writes sentences, and 3.3, which writes tags."""

    opens = ("<think>", "Here is my thought process:", "Here's my thought process:")
    closes = ("</think>", "Here is my response:", "Here's my response:")
    answer = ("<response>", "</response>")
