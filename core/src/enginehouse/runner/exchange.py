"""One HTTP request and its response, over plain ASGI: this is on the path of every token."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from ..sdk import EnginehouseError
from ..sdk.errors import headers_of, to_wire
from ..sdk.logs import REQUEST_ID
from ..sdk.worker import USAGE_HEADER
from .sse import CONTENT_TYPE

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}")
_JSON = b"application/json"
_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


class Exchange:
    """Reads the body, answers once. started: the status line is out; finished: nothing more can be sent;
    gone: the client went away.
    """

    __slots__ = ("_receive", "_scope", "_send", "finished", "gone", "request_id", "started")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.started = False
        self.finished = False
        self.gone = False
        self.request_id = _id_of(scope) or os.urandom(12).hex()
        REQUEST_ID.set(self.request_id)

    @property
    def has_own_id(self) -> bool:
        """Whether the caller named the request in a header."""
        return _id_of(self._scope) is not None

    @property
    def states_usage(self) -> bool:
        """Whether the caller asked what this request uses: the gateway, for a key with a budget of tokens."""
        return any(name == USAGE_HEADER for name, _ in self._scope["headers"])

    def rename(self, request_id: str | None) -> None:
        """Takes the id from the body, unless a header named one or it would not fit into a header."""
        if request_id and not self.has_own_id and _REQUEST_ID.fullmatch(request_id):
            self.request_id = request_id
            REQUEST_ID.set(request_id)

    async def body(self) -> bytes:
        """The whole body. Raises ClientGone."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            return bytes(message.get("body", b""))
        chunks = []
        while message["type"] == "http.request":
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await self._receive()
        raise ClientGone

    async def wait_for_disconnect(self) -> None:
        """Returns when the client is gone or the answer is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(
        self, body: bytes, status: int = 200, content_type: bytes = _JSON, more: Iterable[tuple[str, str]] = ()
    ) -> None:
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", self.request_id.encode()),
            *((key.encode(), value.encode()) for key, value in more),
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self.finished = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def refuse(self, error: EnginehouseError) -> None:
        """Answers with an error, in the shape of every route."""
        await self.answer(_encode(to_wire(error)), error.status, more=headers_of(error).items())

    async def start_stream(self) -> None:
        headers = [
            (b"content-type", CONTENT_TYPE),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-request-id", self.request_id.encode()),
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_stream(self, data: bytes = b"") -> None:
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})


def _id_of(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) else None
    return None
