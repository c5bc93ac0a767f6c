"""What a check is, and how it says what it found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Literal

import msgspec

Level = Literal["bronze", "silver", "gold"]
LEVELS: tuple[Level, ...] = ("bronze", "silver", "gold")
SHOWN = 600  # characters of a request or an answer in a report


class Failed(Exception):
    """A check did not hold. sent, came, expected: what was done, what was seen, what should have been."""

    def __init__(self, sent: str, came: str, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.sent, self.came, self.expected = shortened(sent), shortened(came), expected


class Unclear(Exception):
    """A check could not be made with this model; the text says why. Neither passed nor failed."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the contract.

    name: "<group>.<name>". rule: the sentence of the reference that it holds. applies: whether it concerns a subject,
    told its facts. run: looks, given the stage; returns when the rule holds, raises Failed or Unclear.
    """

    name: str
    level: Level
    rule: str
    applies: Callable[[Any], bool]
    run: Callable[[Any], None]


def always(facts: object) -> bool:
    return True


def check(level: Level, rule: str, applies: Callable[[Any], bool] = always) -> Callable[[Callable[[Any], None]], Check]:
    """Makes a check of a function; its name is the function's, in the group of its module."""

    def make(run: Callable[[Any], None]) -> Check:
        group = run.__module__.rpartition(".")[2]
        return Check(name=f"{group}.{run.__name__}", level=level, rule=rule, applies=applies, run=run)

    return make


def checks_of(*modules: ModuleType) -> tuple[Check, ...]:
    """All checks of these modules, in the order in which they are written; tuples of checks count, too."""
    found: list[Check] = []
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Check):
                found.append(value)
            elif isinstance(value, tuple) and value and all(isinstance(each, Check) for each in value):
                found.extend(value)
    return tuple(found)


def require(holds: object, sent: str, came: object, expected: str) -> None:
    """Raises Failed unless `holds`."""
    if not holds:
        raise Failed(sent, str(came), expected)


def shortened(text: str) -> str:
    """A text on one line, its middle left out where it is long."""
    text = re.sub(r"\s+", " ", text)
    half = SHOWN // 2
    return text if len(text) <= SHOWN else f"{text[:half]} [...] {text[-half:]}"


def every(*conditions: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """A predicate that holds where all of them do."""
    return lambda facts: all(condition(facts) for condition in conditions)


def named(checks: Iterable[Check], wanted: Iterable[str]) -> tuple[Check, ...]:
    """Those whose name is wanted, whole or up to a dot; all where nothing is."""
    names = tuple(wanted)
    if not names:
        return tuple(checks)
    return tuple(one for one in checks if any(one.name == name or one.name.startswith(f"{name}.") for name in names))
