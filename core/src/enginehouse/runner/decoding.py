"""Bodies of requests: from bytes to structs, with errors that name the field."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..sdk import AUXILIARY, TASKS, BadRequest
from ..sdk.choices import name_choices

_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(task.request) for name, task in (*TASKS.items(), *AUXILIARY.items())
}
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


def decode_request(task: str, body: bytes) -> Any:
    """The task's request struct. Raises BadRequest: what was expected, and in `param` where."""
    return _decode(_DECODERS[task], body)


def decode_body(body: bytes, kind: Any) -> Any:
    """A body as a value of `kind`. Raises BadRequest likewise."""
    return _decode(msgspec.json.Decoder(kind), body)


def decode_as(value: dict[str, Any], struct: type[msgspec.Struct]) -> Any:
    """What was decoded already as a struct. Raises BadRequest likewise."""
    try:
        return msgspec.convert(value, struct)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), struct) from error


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), decoder.type) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is malformed JSON: {error}. Send a JSON object.") from error
    except RecursionError as error:
        raise BadRequest("The body is malformed JSON: it is nested too deeply. Send a flatter object.") from error


def _wrong_field(text: str, kind: Any) -> BadRequest:
    place = _PLACE.search(text)
    path = place.group(1) if place else ""
    if missing := _MISSING.search(text):
        path = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return BadRequest(f"The field {path!r} is missing.", param=path)
    expected = name_choices(_PLACE.sub("", text), kind, path)
    if not path:
        return BadRequest(f"The body is not what this route takes: {expected}.")
    return BadRequest(f"The field {path!r} is wrong: {expected}.", param=path)
