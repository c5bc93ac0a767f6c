"""Users and passwords in URLs, which may be kept where they are used and shown nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

HIDDEN = "******"

T = TypeVar("T")

_CREDENTIALS = re.compile(r"(?<=://)[^/\s?#]+@")


def hide_credentials(text: str) -> str:
    """A text in which no URL shows who asks: https://user:word@host is https://******@host."""
    return _CREDENTIALS.sub(f"{HIDDEN}@", text)


def strip_credentials(text: str) -> str:
    """A text whose URLs name nobody: https://user:word@host is https://host."""
    return _CREDENTIALS.sub("", text)


def in_every_text(change: Callable[[str], str], value: T) -> T:
    """A copy of a JSON value with every text in it changed; the names of fields stay."""
    if isinstance(value, str):
        return change(value)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {name: in_every_text(change, one) for name, one in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)(in_every_text(change, one) for one in value)
    return value
