"""Values from the command line's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

_WORDS = {"none": None, "null": None, "true": True, "false": False}


class Extra(NamedTuple):
    """What a command got beyond its own options: plain words in front, then options of the engine."""

    words: list[str]
    options: dict[str, Any]


def read_literal(text: str) -> Any:
    """None, a boolean, a number or JSON where the text is one, else the text: "0_5" and "007" stay as they are."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def read_extra(arguments: Sequence[str]) -> Extra:
    """`--key value`, `--key=value` and bare `--key` (true); a dash in a key is an underscore.

    Raises ValueError at a word that follows no key, unless it stands in front.
    """
    words: list[str] = []
    options: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > 2:
            key, has_value, value = word[2:].partition("=")
            if not has_value and rest and not rest[0].startswith("--"):
                has_value, value = "=", rest.pop(0)
            options[key.replace("-", "_")] = read_literal(value) if has_value else True
        elif word.startswith("-") or options:
            raise ValueError(f"{word!r} is no option; an option of the engine is written --key value.")
        else:
            words.append(word)
    return Extra(words, options)


def read_n_gpu(text: str) -> int | str | None:
    """A number, "auto", or None for the CPU alone. Raises ValueError."""
    word = text.lower()
    if word in ("none", "null"):
        return None
    return word if word == "auto" else int(word)


def read_indexes(text: str) -> list[int]:
    """ "0,1" as [0, 1]. Raises ValueError."""
    return [int(part) for part in text.split(",")]


def read_size(text: str) -> int | str:
    """Parameters in billions: a whole number as one, else the text ("0_5", "1.8")."""
    return int(text) if text.isdigit() else text


def read_pairs(pairs: Iterable[tuple[str, str]]) -> dict[str, Any] | None:
    """Pairs of key and literal; None when there is none."""
    return {key: read_literal(value) for key, value in pairs} or None
