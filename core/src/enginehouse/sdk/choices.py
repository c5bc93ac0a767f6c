"""Which values a field may have, for errors that name them: msgspec says only that one is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_WRONG = "Invalid enum value "


def name_choices(said: str, kind: Any, path: str) -> str:
    """What msgspec `said` of the field at `path` ("messages[0].role") of a `kind`, with the values that there are."""
    if not said.startswith(_WRONG):
        return said
    known = _choices(inspect.type_info(kind), path)
    return f"{said.removeprefix(_WRONG)} is none of {', '.join(known)}" if known else said


def _choices(kind: inspect.Type, path: str) -> list[str]:
    places = list(_parts(kind))
    for step in _STEP.findall(path):
        places = [part for place in places for inner in _inside(place, step) for part in _parts(inner)]
    return list(dict.fromkeys(str(value) for place in places for value in _values(place)))


def _parts(kind: inspect.Type) -> Iterator[inspect.Type]:
    """What a union may be; else the type itself."""
    if isinstance(kind, inspect.Metadata):
        yield from _parts(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _parts(each)
    else:
        yield kind


def _inside(kind: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.StructType):
        yield from (field.type for field in kind.fields if field.encode_name == step)
    elif isinstance(kind, inspect.DictType):
        yield kind.value_type
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield kind.item_type
    elif isinstance(kind, inspect.TupleType):
        yield from kind.item_types


def _values(kind: inspect.Type) -> Iterator[Any]:
    if isinstance(kind, inspect.LiteralType):
        yield from kind.values
    elif isinstance(kind, inspect.EnumType):
        yield from (member.value for member in kind.cls)
