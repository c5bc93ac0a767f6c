"""Bodies of requests that the gateway itself reads: from bytes to structs, with errors that name the field."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ..host.wrong_fields import find_wrong_field
from ..sdk import BadRequest

T = TypeVar("T")


def read_struct(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's struct. Raises BadRequest: what was expected, and in `param` where."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise wrong_field(error, decoder.type) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON that can be read: {error}. Send a JSON object.") from error


def wrong_field(error: msgspec.ValidationError, kind: Any = None) -> BadRequest:
    """What is wrong with a JSON value, and where."""
    wrong = find_wrong_field(error, kind)
    if wrong.missing:
        return BadRequest(f"The field {wrong.path!r} is missing; give it.", param=wrong.path)
    where = f"The field {wrong.path!r}" if wrong.path else "The body"
    return BadRequest(f"{where} is wrong: {wrong.expected}.", param=wrong.path or None)


def with_set_fields(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: what nobody asked for is not sent on."""
    return {name: value for name, value in fields.items() if value is not None}
