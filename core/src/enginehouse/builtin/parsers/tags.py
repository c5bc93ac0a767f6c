"""Tags in text that arrives in slices."""

from __future__ import annotations

import re
from collections.abc import Iterable


def held_back(text: str, *tags: str) -> int:
    """How many characters at the end of `text` may still become one of `tags`."""
    return max((_overlap(text, tag) for tag in tags), default=0)


def sliced(text: str) -> list[str]:
    """The text in slices, so that what is left of one can be copied at no great cost."""
    return [text[at : at + _SLICE] for at in range(0, len(text), _SLICE)]


def either(tags: Iterable[str]) -> re.Pattern[str]:
    """Finds the first of `tags`, none of which may begin another."""
    return re.compile("|".join(re.escape(tag) for tag in tags) or r"(?!)")


def _overlap(text: str, tag: str) -> int:
    if tag[0] not in text[1 - len(tag) :]:
        return 0
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0


class Beginning:
    """Checks how a text begins, letter by letter, white space ignored: with one of `prefixes`. No prefixes: anyhow."""

    __slots__ = ("_head", "_prefixes")

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = tuple("".join(prefix.split()) for prefix in prefixes)
        self._head: str | None = "" if prefixes else None  # None: nothing is left to check

    def wrong_at(self, text: str) -> int | None:
        """Where in the next slice the text stops to begin as it must; None while it may still."""
        for position, letter in enumerate(text):
            if self._head is None:
                return None
            if letter.isspace():
                continue
            self._head += letter
            if self._head in self._prefixes:
                self._head = None
            elif not any(prefix.startswith(self._head) for prefix in self._prefixes):
                return position
        return None


class Brackets:
    """Follows brackets and quotes through slices of a text, to where the first bracket is closed again."""

    __slots__ = ("_depth", "_escaped", "_quotes", "quote")

    _SIGN = re.compile(r"""[][(){}"'\\]""")

    def __init__(self, quotes: str = '"') -> None:
        self._quotes = quotes
        self._depth = 0
        self._escaped = False
        self.quote = ""  # the one that is open

    def end_in(self, text: str) -> int | None:
        """Where in the next slice the first bracket is closed, just after it; None: not yet."""
        at = int(self._escaped and bool(text))
        self._escaped = self._escaped and not text
        while found := self._SIGN.search(text, at):
            at = found.end()
            if found[0] == "\\" and self.quote:
                self._escaped = at == len(text)
                at += 1
            elif self._closes(found[0]):
                return at
        return None

    def _closes(self, sign: str) -> bool:
        if self.quote:
            self.quote = "" if sign == self.quote else self.quote
        elif sign in self._quotes:
            self.quote = sign
        elif sign in "[{(":
            self._depth += 1
        elif sign in "]})":
            self._depth -= 1
            return self._depth <= 0
        return False


def ends_in_string(text: str) -> bool:
    """Whether a JSON text is cut off within a string."""
    closed = True
    for string in _STRING.finditer(text):
        closed = bool(string["end"])
    return not closed


_SLICE = 2048  # letters
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?P<end>"?)', re.S)
