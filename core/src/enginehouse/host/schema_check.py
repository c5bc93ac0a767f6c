"""Checking a document against a struct: every field that is wrong, not only the first. Pure."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from ..sdk import Problem

_PATH = " - at `"
_KINDS = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean"}


def find_problems(document: Any, schema: type[msgspec.Struct], at: str = "") -> Iterator[Problem]:
    """One problem for each field of `document` that `schema` does not allow. Null stands for "left out"."""
    if not isinstance(document, dict):
        yield Problem(at or "model", f"must be an object, not {_kind(document)}")
        return
    hints = get_type_hints(schema, include_extras=True)
    for field in msgspec.structs.fields(schema):
        path = f"{at}.{field.name}" if at else field.name
        value = document.get(field.encode_name)
        if value is not None:
            yield from _check(value, hints[field.name], path)
        elif field.required:
            yield Problem(path, "is missing")


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a struct reads it: null means that a key was left out, here and one object deeper."""
    return {key: _without_inner(value) for key, value in document.items() if value is not None}


def _without_inner(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_inner(item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, dict):
        return {key: inner for key, inner in value.items() if inner is not None}
    return value


def _check(value: Any, hint: Any, path: str) -> Iterator[Problem]:
    inner = _bare(hint)
    items = get_args(inner)
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        yield from find_problems(value, inner, path)
    elif get_origin(inner) is list and isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _check(item, items[0], f"{path}[{index}]")
    else:
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            yield Problem(path, _say(str(error), value))


def _bare(hint: Any) -> Any:
    """The type itself, without its bounds and without None."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [one for one in get_args(hint) if one is not type(None)]
        return _bare(rest[0]) if len(rest) == 1 else hint
    return hint


def _say(message: str, value: Any) -> str:
    text = message.partition(_PATH)[0].rstrip(".")
    shown = repr(value) if isinstance(value, str | int | float | bool) else _kind(value)
    return f"is {shown[:80]}: {text[:1].lower()}{text[1:]}"


def _kind(value: Any) -> str:
    kind = _KINDS.get(type(value), "null")
    return f"an {kind}" if kind[0] in "ao" else f"a {kind}"
