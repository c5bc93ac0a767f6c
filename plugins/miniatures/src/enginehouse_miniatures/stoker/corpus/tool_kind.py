"""One kind of tool: how it is described, asked for, called, and what comes of its result."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from .dialogue import Tool
from .words import invented_word

Values = tuple[Any, ...]


@dataclass(frozen=True)
class ToolKind:
    """A family of tools that do the same thing.

    `slots` are pairs of JSON type and the names a parameter may have, in the order of `values`.
    `extras` are optional parameters that a tool may have and that no call fills.
    `results` make what the tool gave back, as text, with the sentence the model should say.
    """

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    slots: tuple[tuple[str, tuple[str, ...]], ...]
    asks: tuple[str, ...]
    values: Callable[[Random, bool], Values]
    results: Callable[[Random, Values], tuple[str, str]]
    extras: tuple[tuple[str, str], ...] = ()

    def offer(self, rng: Random) -> Tool:
        """One tool of this kind, its names chosen anew."""
        name = rng.choice(self.names)
        if rng.random() < 0.15:
            name = f"{invented_word(rng, 1)}_{name}" if rng.random() < 0.5 else f"{name}_{invented_word(rng, 1)}"
        parameters = tuple((rng.choice(names), kind) for kind, names in self.slots)
        if self.extras and rng.random() < 0.3:
            parameters = (*parameters, rng.choice(self.extras))
        return Tool(name, rng.choice(self.descriptions), parameters)


def json_or_text(rng: Random, key: str, value: Any) -> str:
    """What a tool gave back: a JSON object with one entry, or the bare value."""
    quoted = f'"{value}"' if isinstance(value, str) else value
    return rng.choice((str(value), f'{{"{key}": {quoted}}}'))
