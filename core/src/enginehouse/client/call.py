"""What a request is, before anybody sends it: a value, the same for both faces of the client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

T_co = TypeVar("T_co", covariant=True)
Json = dict[str, Any]
File = bytes | str | Path | IO[bytes]
"""Contents, or where they are: the path of a file, or an open one."""

READ_SECONDS = 30.0
"""Administrative answers come from the server's memory; one that takes longer will not come."""

TERMINATE_SECONDS = 600.0
"""Answered when the processes are gone. Running requests may end first: half a minute unless the server is set
otherwise."""

DISK_SECONDS = 120.0
"""Answered when the server's disk was read, or terabytes on it were let go."""

UNBOUNDED = None
"""For launches (tens of gigabytes may have to arrive first) and inference (a long prompt is read before the
first byte). Only the caller knows how long is too long; a peer that vanished is found by TCP keep-alive."""


class Part(NamedTuple):
    """One part of a form. A field of text has no file name."""

    name: str
    content: str | bytes | IO[bytes]
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T_co]):
    """One request, and how its answer is read.

    action: completes "Failed to ...". read_seconds: longest silence of the server; None for no limit.
    body: sent as JSON; parts: sent as a form instead. decode: from the answer's JSON to what the caller gets.
    raw: the answer is bytes and no JSON. streams: it is read as it arrives.
    """

    action: str
    method: str
    path: str
    decode: Callable[[Any], T_co]
    query: dict[str, str] = field(default_factory=dict)
    body: Json | None = None
    parts: tuple[Part, ...] = ()
    read_seconds: float | None = READ_SECONDS
    raw: bool = False
    streams: bool = False


def path_of(*segments: str) -> str:
    """A path from its segments, each quoted: path_of("v1", "models", "a b") is /v1/models/a%20b."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def given(**query: str | None) -> dict[str, str]:
    """What is not None."""
    return {name: value for name, value in query.items() if value is not None}


def fields(values: Json) -> tuple[Part, ...]:
    """A form's fields of text: None is left out, a list is one field for each of its items."""
    listed = ((name, value if isinstance(value, list | tuple) else [value]) for name, value in values.items())
    return tuple(Part(name, str(item)) for name, items in listed for item in items if item is not None)


def upload(name: str, file: File, filename: str) -> Part:
    """A form's part that is a file. Raises OSError when there is none at the path."""
    return Part(name, Path(file).read_bytes() if isinstance(file, str | Path) else file, filename)


def as_is(answer: Any) -> Any:
    """The answer's JSON, whatever it is."""
    return answer


def as_object(answer: Any) -> Json:
    return dict(answer)


def as_list(answer: Any) -> list[Any]:
    return list(answer)


def as_nothing(answer: Any) -> None:
    return None
