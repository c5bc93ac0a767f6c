"""An engine's launch options: checked against the struct that the engine declares."""

from __future__ import annotations

import difflib
from typing import Any

import msgspec

from ..sdk import BadRequest, EngineSpec, UnknownOption, gather_rest
from .wrong_fields import find_wrong_field


def check_options(engine: EngineSpec, given: dict[str, Any]) -> dict[str, Any]:
    """The given options as JSON-ready values of the right types ("8" becomes 8). Raises BadRequest by name."""
    known = engine.options.__struct_fields__
    given = gather_rest(given, engine.options)
    for name in given:
        if name not in known:
            raise UnknownOption(_unknown(engine, name, known), param=name)
    try:
        options = msgspec.convert(given, engine.options, strict=False)
    except msgspec.ValidationError as error:
        wrong = find_wrong_field(error, engine.options)
        raise BadRequest(f"An option of engine {engine.name} is wrong: {wrong}.", param=wrong.path or None) from error
    values = msgspec.to_builtins(options)
    return {name: values[name] for name in given}


def _unknown(engine: EngineSpec, name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It knows: {', '.join(known) or 'no options'}."
    return f"Engine {engine.name} has no option {name!r}. {hint}"
