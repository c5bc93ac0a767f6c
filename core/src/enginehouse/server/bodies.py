"""Bodies of requests that the gateway itself reads: from bytes to structs, with errors that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from ..sdk import BadRequest

T = TypeVar("T")
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


def read_struct(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's struct. Raises BadRequest: what was expected, and in `param` where."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise wrong_field(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON that can be read: {error}. Send a JSON object.") from error


def wrong_field(error: msgspec.ValidationError) -> BadRequest:
    """What is wrong with a JSON value, and where."""
    text = str(error)
    place = _PLACE.search(text)
    path = place.group(1) if place else ""
    if missing := _MISSING.search(text):
        path = ".".join(filter(None, (path, missing.group(1))))
        return BadRequest(f"The field {path!r} is missing; give it.", param=path)
    expected = _PLACE.sub("", text)
    where = f"The field {path!r}" if path else "The body"
    return BadRequest(f"{where} is wrong: {expected}.", param=path or None)


def with_set_fields(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: what nobody asked for is not sent on."""
    return {name: value for name, value in fields.items() if value is not None}
