"""Handles that plugins bring for their model types: entry points of the group `enginehouse.handles`.

Such an entry point has a model type's name, and names a class ("module:Class") whose public functions make calls: each
takes the model's uid first and gives a `Call`. From it come the handles of both faces, with a method for each function.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from types import FunctionType
from typing import Any

from .call import Call

GROUP = "enginehouse.handles"
Make = Callable[..., Call[Any]]
_CLASS = re.compile(r"(Async)?(?:RESTful)?([A-Z][a-z]+)ModelHandle")


def contributed_handles() -> dict[str, EntryPoint]:
    """By model type. Nothing of a plugin is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def calls_of(calls: type) -> dict[str, Make]:
    """The functions of such a class that make calls, by name."""
    found = ((name, getattr(calls, name)) for name in vars(calls) if not name.startswith("_"))
    return {name: function for name, function in found if isinstance(function, FunctionType)}


def name_of(model_type: str, face: str = "") -> str:
    """What the handle class of a model type is called: "AsyncTimeseriesModelHandle"."""
    return f"{face}{model_type.title()}ModelHandle"


def named_by(class_name: str) -> tuple[bool, str] | None:
    """Whether a handle class is the asynchronous one, and the model type it is of; None for any other name."""
    found = _CLASS.fullmatch(class_name)
    return (found[1] is not None, found[2].lower()) if found else None
