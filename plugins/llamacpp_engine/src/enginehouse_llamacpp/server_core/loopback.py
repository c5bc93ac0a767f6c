"""Answers over connections to the library's HTTP server, one each: those in one piece, and those about images.

So no token of theirs waits for the interpreter's lock, and the library can be told that nobody waits any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, cast

import msgspec

from enginehouse.sdk import EngineFailed

from ..chunks import Chunk, Fault

CONNECT_SECONDS = 10.0  # the server is in this process: it answers at once, or its threads are all taken
_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_EVENT_END = b"\n\n"
_read = msgspec.json.Decoder(Chunk).decode


class Door(NamedTuple):
    """Where the library's server listens, and the key that it asks for."""

    host: str
    port: int
    key: str

    def request(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


class Turns:
    """So many calls at a time; more wait, in their order."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Turn:
        if self._free:
            self._free -= 1
            return Turn(self)
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()
            raise
        return Turn(self)

    def give_back(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Turn:
    """One call's. Ended once, whoever says so first."""

    def __init__(self, turns: Turns) -> None:
        self._turns: Turns | None = turns

    def end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.give_back()


class LoopbackCall(asyncio.Protocol):
    """Made by `open_call`. The server closes the connection behind its answer; the call's turn ends with it."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._response = _Response()
        self._came = asyncio.Event()
        self._ended = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._response.add(data)
        if self._response.is_stream:
            self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._came.set()
        self._turn.end()

    async def batch(self) -> list[Chunk]:
        """Waits for chunks; gives all that have come, none when the answer has ended. Raises EngineFailed."""
        while True:
            await self._came.wait()
            ended = self._ended
            if not ended:
                self._came.clear()
            if (chunks := self._response.take(ended)) or ended:
                return chunks

    def close(self) -> None:
        """The library frees the slot at its next token, or of an answer in one piece within a second."""
        if self._transport is not None:
            self._transport.abort()
        self._turn.end()


class _Response:
    """HTTP/1.1 as it comes: a head, then JSON in one piece, or events in chunks of whatever length."""

    def __init__(self) -> None:
        self.is_stream = False
        self._has_head = False
        self._raw = bytearray()
        self._text = bytearray()

    def add(self, data: bytes) -> None:
        self._raw += data
        if not self._has_head and (end := self._raw.find(_HEAD_END)) >= 0:
            self._has_head = True
            self.is_stream = b"text/event-stream" in self._raw[:end].lower()
            del self._raw[: end + len(_HEAD_END)]

    def take(self, ended: bool) -> list[Chunk]:
        """What is complete and has not been taken. Raises EngineFailed for what is no answer."""
        try:
            if self.is_stream:
                self._unpack()
                return list(self._events())
            raw, self._raw = bytes(self._raw), bytearray()
            return [_read(raw)] if ended and (raw or not self._has_head) else []
        except (msgspec.DecodeError, ValueError) as error:
            raise EngineFailed(f"llama.cpp's own server broke off, or answered what is no JSON: {error}.") from error

    def _unpack(self) -> None:
        at = 0
        while (line := self._raw.find(_END, at)) >= 0:
            end = line + 2 + int(bytes(self._raw[at:line]).partition(b";")[0], 16)
            if len(self._raw) < end + 2:
                break
            self._text += self._raw[line + 2 : end]
            at = end + 2
        del self._raw[:at]

    def _events(self) -> Iterator[Chunk]:
        *events, rest = bytes(self._text).split(_EVENT_END)
        self._text[:] = rest
        for event in events:
            kind, _, data = event.partition(b": ")
            if kind == b"data" and data.startswith(b"{"):  # else a ping, or the word for the end
                yield _read(data)
            elif kind == b"error":
                yield Chunk(error=msgspec.json.decode(data, type=Fault))


async def open_call(door: Door, path: str, body: bytes, turn: Turn) -> LoopbackCall:
    """Sends a request. Raises EngineFailed, and has ended the turn then."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, call = await asyncio.get_running_loop().create_connection(
                lambda: LoopbackCall(turn), door.host, door.port
            )
    except BaseException as error:  # cancelled too: the turn is given back whatever it was
        turn.end()
        if isinstance(error, OSError):  # a timeout is one, too
            raise EngineFailed(f"llama.cpp's own server cannot be reached: {error}.") from error
        raise
    transport.write(door.request(path, body))
    return call
