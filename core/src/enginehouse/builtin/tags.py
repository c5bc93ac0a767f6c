"""Tags in text that arrives in slices."""

from __future__ import annotations


def held_back(text: str, tag: str) -> int:
    """How many characters at the end of `text` may still become `tag`."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0
