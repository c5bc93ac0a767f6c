"""From bytes of the server to values, or to the error that they mean. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from .call import Call
from .errors import ClientError

T = TypeVar("T")
SHOWN_CHARACTERS = 300  # of an answer that is no JSON: enough to recognise a proxy's error page

_DATA = b"data:"
_DONE = b"[DONE]"


def decode_answer(call: Call[T], status: int, content: bytes) -> T:
    """What the call returns. Raises ClientError when the server refused, or said something else than agreed."""
    if not 200 <= status < 300:
        raise failure_of(call.action, status, content)
    if call.raw:
        return call.decode(content)
    try:
        return call.decode(json.loads(content))
    except (ValueError, TypeError, KeyError) as error:
        detail = f"the answer has an unknown form ({_shorten(content)!r}). Is this an Enginehouse server?"
        raise ClientError(call.action, detail, status=status) from error


def failure_of(action: str, status: int, content: bytes) -> ClientError:
    """The error that an answer with this status stands for: `detail`, else OpenAI's `error`, else the text itself."""
    try:
        body = json.loads(content)
    except ValueError:
        return ClientError(action, f"HTTP status {status}: {_shorten(content) or 'no reason given'}", status=status)
    fields = body if isinstance(body, dict) else {}
    error = fields.get("error")
    detail = fields.get("detail") or _message_of(error) or _shorten(content)
    return ClientError(
        action, detail if isinstance(detail, str) else json.dumps(detail), status=status, code=_code(error)
    )


class EventDecoder:
    """Reads the events of a stream, however the bytes are cut.

    Lines end with LF or CRLF and nothing else: U+2028 and its like occur inside of JSON texts.
    """

    def __init__(self, action: str) -> None:
        self._action = action
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Events that are complete now; [DONE] and comments left out. Raises ClientError at an `error` event."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        payloads = (line[len(_DATA) :].strip() for line in lines if line.startswith(_DATA))
        return (self._decode(payload) for payload in payloads if payload and payload != _DONE)

    def _decode(self, payload: bytes) -> dict[str, Any]:
        try:
            event: dict[str, Any] = json.loads(payload)
        except ValueError as problem:
            raise ClientError(self._action, f"the stream holds {_shorten(payload)!r}, no JSON") from problem
        if error := event.get("error"):
            raise ClientError(self._action, _message_of(error) or json.dumps(error), code=_code(error))
        return event


def _message_of(error: Any) -> str | None:
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else None


def _code(error: Any) -> str | None:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None


def _shorten(content: bytes) -> str:
    return content.decode("utf-8", "replace")[:SHOWN_CHARACTERS].strip()
