"""Calls to vLLM's own HTTP application within this process: its routes as functions, no socket between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Take = Callable[[bytes], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

AHEAD = 64  # pieces of an answer that may wait to be read: then vLLM's own generator waits, as on a full socket
LEAVE_SECONDS = 10.0  # a call that was given up aborts its request in the engine, which takes a step or two


class Whole(NamedTuple):
    """An answer in one piece."""

    status: int
    body: bytes


class Inside:
    """The application `app` of the server `server` (what its routes know as `request.app`)."""

    def __init__(self, app: Application, server: Any) -> None:
        self._app = app
        self._server = server

    async def ask(self, method: str, path: str, body: bytes = b"") -> Whole:
        """The whole answer of a route."""
        call = _Call(self._app, self._scope(method, path, body), body)
        try:
            status = await call.status()
            return Whole(status, b"".join([piece async for piece in call.pieces()]))
        finally:
            await call.leave()

    async def stream(self, path: str, body: bytes) -> AsyncIterator[Whole]:
        """The pieces of a route's answer as they come; closing it gives the request up."""
        call = _Call(self._app, self._scope("POST", path, body), body)
        try:
            status = await call.status()
            async for piece in call.pieces():
                yield Whole(status, piece)
        finally:
            await call.leave()

    async def run(self, path: str, body: bytes, take: Take) -> Whole:
        """Runs a route in this task, `take` getting each piece of an answer of status 200; others are returned.

        Cancelling the task gives the request up. Raises what `take` raised.
        """
        reading = _Reading(body, take)
        try:
            await self._app(self._scope("POST", path, body), reading.receive, reading.send)
        except Exception:  # vLLM's code may make anything of a failure of ours, which counts more
            if reading.failed is None:
                raise
        if reading.failed is not None:  # the application may have made something else of it
            raise reading.failed
        return Whole(reading.status, b"".join(reading.refused))

    def _scope(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", b"worker"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
            "client": None,
            "server": None,
            "app": self._server,
            "state": {},
        }


class _Reading:
    """Both ends of a request that runs in its caller's task."""

    def __init__(self, body: bytes, take: Take) -> None:
        self.status = 0
        self.refused: list[bytes] = []
        self.failed: Exception | None = None
        self._body: bytes | None = body
        self._take = take

    async def receive(self) -> Message:
        if self._body is None:
            await asyncio.Event().wait()  # for ever: who leaves is told by cancelling
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        elif piece := message.get("body"):
            if self.status == 200:
                await self._give(piece)
            else:
                self.refused.append(piece)

    async def _give(self, piece: bytes) -> None:
        try:
            await self._take(piece)
        except Exception as error:  # raised again; kept, since vLLM's code stands between
            self.failed = error
            raise


class _Call:
    """One request to the application, which runs as a task of its own."""

    def __init__(self, app: Application, scope: dict[str, Any], body: bytes) -> None:
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message] = asyncio.Queue(AHEAD)
        self._gone = asyncio.Event()
        self._running = asyncio.ensure_future(app(scope, self._receive, self._messages.put))
        self._running.add_done_callback(self._ended)
        self._next: asyncio.Future[Message] | None = None

    async def status(self) -> int:
        """The answer's status. Raises what the application raised before it answered."""
        message = await self._message()
        return int(message["status"])

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer's body. Raises what the application raised meanwhile."""
        more = True
        while more:
            message = await self._message()
            more = bool(message.get("more_body"))
            if body := message.get("body"):
                yield body

    async def leave(self) -> None:
        """Gives the request up unless it has ended."""
        self._gone.set()
        if not self._running.done():
            self._running.cancel()
            await asyncio.wait((self._running,), timeout=LEAVE_SECONDS)

    async def _message(self) -> Message:
        message = await self._messages.get()
        if message["type"] == "ended":
            if not self._running.cancelled() and (error := self._running.exception()):
                raise error
            raise ConnectionError("vLLM's server ended its answer before it was complete; see the worker's log.")
        return message

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def _ended(self, running: asyncio.Future[None]) -> None:
        if not running.cancelled():
            running.exception()  # seen: who waits for a message gets it
        with suppress(
            asyncio.QueueFull
        ):  # then there are messages to read before, and the last of them ends the answer
            self._messages.put_nowait({"type": "ended"})
