"""Text with blocks in it: what most formats of tool calls have in common.

A block begins with a tag and is held back until it is whole; then it is a call, or it is given back as the text it
was. Whether, where and as what a block ends depends on the text alone, never on how it was sliced, and every letter
is looked at a bounded number of times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from ...sdk import TextPart, ToolCallPart
from .calls import NotACall, schemas_of
from .tags import Beginning, Brackets, either, held_back, sliced

Part = TextPart | ToolCallPart
Decode = Callable[[str], Sequence[Part]]
"""The parts in the body of a block. Raises NotACall."""


class Block(Protocol):
    """Reads what follows an opening. `parts`, once it has ended: what it holds, or None when it is no block after all.

    `feed` tells where in the slice the block ended, just after it: before the slice when that was seen late, None
    while it goes on. `finish` tells that nothing follows; the whole body is then in `body`. rest: what was read after
    the end of a block that had ended when nothing followed.
    """

    parts: Sequence[Part] | None
    rest: str

    def feed(self, text: str) -> int | None: ...

    def finish(self, body: str) -> None: ...


class Enclosed:
    """A block with a closing tag.

    decode: of the body. salvage: of a body that `decode` refuses, or that lacks its end. open_in: whether the closing
    tag at the end of this body is part of a value, so that the block goes on. begins: how a body may begin.
    """

    def __init__(
        self,
        closing: str,
        decode: Decode,
        *,
        salvage: Decode | None = None,
        open_in: Callable[[str], bool] | None = None,
        begins: tuple[str, ...] = (),
        hasty: bool = False,
    ) -> None:
        self.parts: Sequence[Part] | None = None
        self.rest = ""
        self._closing = closing
        self._decode = decode
        self._salvage = salvage or decode
        self._open_in = None if hasty else open_in
        self._begin = Beginning(begins)
        self._slices: list[str] = []
        self._tail = ""
        self._tries = 0

    def feed(self, text: str) -> int | None:
        if (wrong := self._begin.wrong_at(text)) is not None:
            return wrong
        window, before = self._tail + text, len(self._tail)
        at = window.find(self._closing)
        while at >= 0:
            end = at + len(self._closing)
            body = "".join((*self._slices, text[: end - before])).removesuffix(self._closing)
            if self._ends_with(body):
                return end - before
            at = window.find(self._closing, end)
        self._slices.append(text)
        self._tail = window[len(window) - held_back(window, self._closing) :]
        return None

    def finish(self, body: str) -> None:
        self.parts = _tried(self._salvage, body)

    def _ends_with(self, body: str) -> bool:
        """Whether the block ends here, with this body."""
        self._tries += 1
        self.parts = _tried(self._decode, body)
        if self.parts is not None:
            return True
        if self._open_in is not None and self._tries < _MOST_TRIES and self._open_in(body):
            return False
        self.parts = _tried(self._salvage, body)
        return True


class Value:
    """A block that is a value in brackets, perhaps with words before it, and perhaps with a closing tag after it."""

    def __init__(self, decode: Decode, *, closing: str = "", begins: tuple[str, ...] = (), quotes: str = '"') -> None:
        self.parts: Sequence[Part] | None = None
        self.rest = ""
        self._decode = decode
        self._closing = closing
        self._begin = Beginning(begins)
        self._brackets = Brackets(quotes)
        self._slices: list[str] = []
        self._ended = False  # `rest` may still become the closing tag

    def feed(self, text: str) -> int | None:
        if self._ended:
            return self._close(text, 0)
        if (wrong := self._begin.wrong_at(text)) is not None:
            return wrong
        end = self._brackets.end_in(text)
        if end is None:
            self._slices.append(text)
            return None
        self.parts = _tried(self._decode, "".join((*self._slices, text[:end])))
        if self.parts is None or not self._closing:
            return end
        self._ended = True
        return self._close(text[end:], end)

    def finish(self, body: str) -> None:
        """A value that was whole has its parts already."""

    def _close(self, text: str, offset: int) -> int | None:
        offset -= len(self.rest)
        self.rest += text
        tag = self.rest.lstrip()
        space = len(self.rest) - len(tag)
        if space <= _MOST_SPACE and tag.startswith(self._closing):
            return offset + space + len(self._closing)
        return None if space <= _MOST_SPACE and self._closing.startswith(tag) else offset


class BlockParser:
    """Finds blocks; a block that is broken or never ends comes back as the text it was.

    White space next to a call is dropped; elsewhere text passes as it is.
    openings: tags that begin a block. starts: letters that begin a block where no text came before it. gap: what may
    stand between two calls beside white space.
    """

    openings: ClassVar[tuple[str, ...]] = ()
    gap: ClassVar[str] = ""
    needs_special_tokens: ClassVar[bool] = False

    def __init__(self, prompt_end: str = "", tools: tuple[dict[str, Any], ...] = ()) -> None:
        self._schemas = schemas_of(tools)
        self._starts = self.starts()
        self._pattern = either(self.openings)
        self._out: list[Part] = []
        self._tail = ""  # text that may become a tag
        self._space: list[str] = []  # white space that is dropped if a call follows
        self._at_start = True  # nothing but white space and calls came before
        self._after_call = False
        self._block: Block | None = None
        self._raw: list[str] = []  # of the block, its opening included
        self._opening = ""
        self._hasty = False

    def starts(self) -> str:
        return ""

    def block(self, opening: str, hasty: bool) -> Block:
        """A reader for what follows `opening` ("" for a start). hasty: nothing follows, so take the first end."""
        raise NotImplementedError  # each format has its own

    def feed(self, text: str) -> list[Part]:
        self._read(text)
        return self._taken()

    def finish(self) -> list[Part]:
        """What was held back: the start of a tag, white space, or a block without its end."""
        while self._block is not None:
            self._read(self._end_block(self._block))
        self._say(self._tail)
        rest = "".join(self._space)
        if rest := rest.lstrip() if self._after_call else rest:
            self._out.append(TextPart(rest))
        self._tail, self._space = "", []
        return self._taken()

    def _taken(self) -> list[Part]:
        out, self._out = self._out, []
        return out

    def _read(self, text: str) -> None:
        slices = deque(sliced(text))
        while slices:
            text = slices.popleft()
            rest = self._read_text(text) if self._block is None else self._read_block(self._block, text)
            slices.extendleft(reversed(sliced(rest)))

    def _read_text(self, text: str) -> str:
        """Text up to the next opening; what follows that is given back."""
        text, self._tail = self._tail + text, ""
        start = self._start_in(text)
        found = self._pattern.search(text)
        if start is not None and (found is None or start < found.start()):
            return self._open(text[:start], "", text[start:])
        if found is not None:
            return self._open(text[: found.start()], found[0], text[found.end() :])
        kept = len(text) - held_back(text, *self.openings)
        self._tail = text[kept:]
        self._say(text[:kept])
        return ""

    def _start_in(self, text: str) -> int | None:
        """Where a block begins that needs no tag."""
        if not self._starts or not self._at_start:
            return None
        rest = text.lstrip(self._gap_letters())
        return len(text) - len(rest) if rest and rest[0] in self._starts else None

    def _open(self, before: str, opening: str, after: str) -> str:
        self._say(before)
        self._opening, self._raw = opening, [opening]
        self._block = self.block(opening, self._hasty)
        return after

    def _read_block(self, block: Block, text: str) -> str:
        end = block.feed(text)
        self._raw.append(text)
        if end is None:
            return ""
        raw = "".join(self._raw)
        end += len(raw) - len(text)
        if block.parts is not None:
            self._close(block.parts)
            return raw[end:]
        self._block = None
        again = self._last_opening(raw[:end])
        self._say(raw[:again])
        return raw[again:]

    def _end_block(self, block: Block) -> str:
        """Ends the open block, for nothing follows; what is to be read once more is given back."""
        raw = "".join(self._raw)
        block.finish(raw[len(self._opening) :])
        if block.parts is not None:
            self._close(block.parts)
            return block.rest
        self._block = None
        if not self._hasty:
            self._hasty = True
            return raw
        again = self._last_opening(raw)
        self._say(raw[:again])
        return raw[again:]

    def _last_opening(self, raw: str) -> int:
        """Where in a broken block another may begin: at its last opening, or where one may just be arriving."""
        last = max((found.start() for found in self._pattern.finditer(raw, 1)), default=0)
        return last or max(len(raw) - held_back(raw, *self.openings), 1)

    def _close(self, parts: Sequence[Part]) -> None:
        self._block = None
        for part in parts:
            if isinstance(part, TextPart):
                self._say(part.text)
            else:
                self._space = []
                self._after_call = self._at_start = True
                self._out.append(part)

    def _say(self, text: str) -> None:
        """Lets text out, but the white space at its end."""
        if not text.strip(self._gap_letters()):
            self._space.append(text)
            return
        core = text.rstrip()
        said = "".join((*self._space, core))
        said = said.lstrip() if self._after_call else said
        self._space = [text[len(core) :]] if len(core) < len(text) else []
        self._after_call = self._at_start = False
        self._out.append(TextPart(said))

    def _gap_letters(self) -> str | None:
        return _WHITE_SPACE + self.gap if self._after_call and self.gap else None


def _tried(decode: Decode, body: str) -> Sequence[Part] | None:
    """The parts of a body; None when it holds no call."""
    try:
        parts = decode(body)
    except NotACall:
        return None
    return parts if any(isinstance(part, ToolCallPart) for part in parts) else None


_MOST_TRIES = 8  # closing tags within values of one block; each costs a look at the whole body
_MOST_SPACE = 64  # letters between a value and its closing tag
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
