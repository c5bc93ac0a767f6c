"""Errors about a value that is none of a few name the few."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

import msgspec
import pytest

from enginehouse.sdk.choices import name_choices


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct):
    kind: Literal["text", "image"]


class Body(msgspec.Struct):
    mode: Annotated[Literal["a", "b"], msgspec.Meta(description="d")] | None = None
    colour: Colour = Colour.RED
    parts: list[str | Part] | None = None
    named: dict[str, Literal[1, 2]] = {}
    pair: tuple[int, Colour] = (0, Colour.RED)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("mode", "'x' is none of a, b"),
        ("colour", "'x' is none of red, blue"),
        ("parts[3].kind", "'x' is none of image, text"),
        ("named[...]", "'x' is none of 1, 2"),
        ("pair[1]", "'x' is none of red, blue"),
        ("elsewhere", "Invalid enum value 'x'"),
        ("mode.deeper", "Invalid enum value 'x'"),
    ],
)
def test_choices_are_named(path: str, said: str) -> None:
    assert name_choices("Invalid enum value 'x'", Body, path) == said


def test_all_else_stays_as_msgspec_says_it() -> None:
    assert name_choices("Expected `int`, got `str`", Body, "mode") == "Expected `int`, got `str`"
