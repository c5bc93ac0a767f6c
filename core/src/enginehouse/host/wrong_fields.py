"""What is wrong with a value, and in which field: what msgspec says of it, taken apart."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from ..sdk.choices import name_choices

_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


class WrongField(NamedTuple):
    """`path` is empty where the whole value is wrong."""

    path: str
    expected: str
    missing: bool

    def __str__(self) -> str:
        if self.missing:
            return f"the field {self.path!r} is missing"
        return f"{self.path}: {self.expected}" if self.path else self.expected


def find_wrong_field(error: msgspec.ValidationError, kind: Any = None) -> WrongField:
    """The field that `error` tells of, and what was expected there. kind: the struct, so that choices can be named."""
    text = str(error)
    place = _PLACE.search(text)
    path = place.group(1) if place else ""
    if missing := _MISSING.search(text):
        return WrongField(".".join(filter(None, (path, missing.group(1)))), text, missing=True)
    said = _PLACE.sub("", text)
    return WrongField(path, name_choices(said, kind, path) if kind else said, missing=False)
