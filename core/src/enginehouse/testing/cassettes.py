"""Cassettes: what was asked of a worker and what it answered, with the timing of each chunk, a line of JSON each.

The first line is a `Header`; every other an `Exchange`. Nothing secret is kept: of headers only the content type, and
of bodies neither the values of fields whose names say secret nor texts that look like keys.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

LEFT_OUT = "[left out]"
VARYING = ("model", "user", "request_id")
"""Fields of a body that do not tell one request from another."""

_SECRET_NAMES = re.compile(r"(?i)(^|_|-)(api_?key|token|secret|password|authorization|credentials?)$")
_SECRET_TEXTS = re.compile(
    r"(?i)\b(?:(?:sk|eh|pk|xox[bap])-[\w-]{12,}|hf_\w{12,}|gh[pousr]_\w{20,}|bearer\s+[\w.~+/=-]{8,})"
)


class CassetteError(Exception):
    """A cassette cannot be read; the text says where and why."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """model: the uid that answers name. recorded_at: ISO 8601."""

    cassette: int = 1
    model: str
    recorded_at: str


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """chunks: seconds since the request came, and text."""

    method: str
    path: str
    body: Any = None
    status: int
    content_type: str
    chunks: tuple[tuple[float, str], ...]

    @property
    def key(self) -> str:
        """The same for requests that ask the same."""
        return key_of(self.method, self.path, self.body)


class Cassette(msgspec.Struct, frozen=True, kw_only=True):
    header: Header
    exchanges: tuple[Exchange, ...]


def key_of(method: str, path: str, body: Any) -> str:
    """Method, path and body, without what differs between askers. body: as it was sent, secrets and all."""
    told = without_secrets(body)
    if isinstance(told, dict):
        told = {name: value for name, value in told.items() if name not in VARYING}
    return f"{method} {path} {msgspec.json.encode(told, order='sorted').decode()}"


def without_secrets(value: Any) -> Any:
    """JSON with everything left out that may be secret."""
    if isinstance(value, dict):
        return {
            name: LEFT_OUT if isinstance(inner, str) and _SECRET_NAMES.search(name) else without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return plain_text(value) if isinstance(value, str) else value


def plain_text(text: str) -> str:
    """A text without what looks like a key."""
    return _SECRET_TEXTS.sub(LEFT_OUT, text)


def read_cassette(file: Path) -> Cassette:
    """Raises CassetteError."""
    try:
        first, *lines = file.read_bytes().splitlines()
        header = msgspec.json.decode(first, type=Header)
        exchanges = tuple(msgspec.json.decode(line, type=Exchange) for line in lines if line.strip())
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise CassetteError(
            f"{file} is no cassette: {error}. Record one with `enginehouse.testing.recording`."
        ) from error
    return Cassette(header=header, exchanges=exchanges)
