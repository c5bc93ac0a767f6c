"""Multipart forms as JSON bodies, for tasks whose routes take both.

A field's text is read as JSON where it is some ("3", "[1, 2]", "true"), else it is text; a field given several times is
a list; a file is a data URL. Source of the format: RFC 7578.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from ..sdk import BadRequest

_BOUNDARY = re.compile(rb'multipart/form-data\s*;.*?boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.I)
_PARAMETER = re.compile(rb';\s*(name|filename)="((?:[^"\\]|\\.)*)"', re.I)
_UNKNOWN_TYPE = b"application/octet-stream"
_TEXTS = ("model", "request_id")  # text, whatever they look like
_NEEDS = "Send JSON, or a form as `curl -F` does."


class _Part(NamedTuple):
    name: str
    value: Any


def boundary_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """What separates the parts of a form; None when the body is none."""
    for name, value in headers:
        if name == b"content-type" and (found := _BOUNDARY.match(value)):
            return found[1] or found[2]
    return None


def form_as_json(body: bytes, boundary: bytes) -> bytes:
    """The JSON object that a form stands for. Raises BadRequest when it is cut off or has a part without a name."""
    found: dict[str, list[Any]] = {}
    for part in _parts(body, boundary):
        found.setdefault(part.name, []).append(part.value)
    values = {name: each[0] if len(each) == 1 else each for name, each in found.items()}
    return msgspec.json.encode(values)


def _parts(body: bytes, boundary: bytes) -> Iterator[_Part]:
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise BadRequest(f"The form is cut off: its last boundary is missing. {_NEEDS}")
    for piece in pieces[:-1]:
        head, empty_line, content = piece.partition(b"\r\n\r\n")
        if not empty_line:
            raise BadRequest(f"A part of the form has no headers. {_NEEDS}")
        yield _part(head, content)


def _part(head: bytes, content: bytes) -> _Part:
    lines = {
        key.strip().lower(): value.strip() for key, _, value in (each.partition(b":") for each in head.split(b"\r\n"))
    }
    said = {key.lower(): value for key, value in _PARAMETER.findall(lines.get(b"content-disposition", b""))}
    if b"name" not in said:
        raise BadRequest(f"A part of the form has no name. {_NEEDS}")
    name = _text(said[b"name"])
    if b"filename" in said:
        kind = lines.get(b"content-type", _UNKNOWN_TYPE)
        return _Part(name, f"data:{_text(kind)};base64,{b64encode(content).decode()}")
    return _Part(name, _text(content) if name in _TEXTS else _value(content))


def _value(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _text(content)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The form holds text that is not UTF-8: {error}. Send what is no text as a file.") from error
