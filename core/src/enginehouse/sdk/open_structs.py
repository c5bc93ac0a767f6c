"""Structs that keep what they do not name: those with a field `rest`, a mapping."""

from __future__ import annotations

from typing import Any

import msgspec

REST = "rest"


def is_open(struct: Any) -> bool:
    """Whether this struct (or any other type) keeps what it does not name."""
    return isinstance(struct, type) and issubclass(struct, msgspec.Struct) and REST in struct.__struct_fields__


def gather_rest(given: dict[str, Any], struct: Any) -> dict[str, Any]:
    """`given` as an open struct reads it: the keys that it does not name under `rest`. Others are left as they are."""
    if not is_open(struct):
        return given
    named = set(struct.__struct_encode_fields__) - {REST}
    rest = {key: value for key, value in given.items() if key not in named}
    return {**{key: value for key, value in given.items() if key in named}, REST: rest}
