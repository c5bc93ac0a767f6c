"""Answers in one piece, each over a connection of its own to the library's HTTP server.

So no token of theirs waits for the interpreter's lock, and the library can be told that nobody waits any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple, cast

import msgspec

from enginehouse.sdk import EngineFailed

from ..chunks import Chunk

CONNECT_SECONDS = 10.0  # the server is in this process: it answers at once, or its threads are all taken
_HEAD_END = b"\r\n\r\n"
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


class WholeCall(asyncio.Protocol):
    """Made by `open_call`. The server closes the connection behind its answer; the call's turn ends with it."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._answer = bytearray()
        self._ended = asyncio.Event()
        self._taken = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()
        self._turn.end()

    async def batch(self) -> list[Chunk]:
        """The answer, once. Raises EngineFailed for what is none."""
        await self._ended.wait()
        if self._taken:
            return []
        self._taken = True
        _, _, content = bytes(self._answer).partition(_HEAD_END)
        try:
            return [_read(content)]
        except msgspec.DecodeError as error:
            said = content[:200].decode(errors="replace")
            raise EngineFailed(f"llama.cpp's own server broke off, or answered what is no JSON: {said!r}") from error

    def close(self) -> None:
        """The library looks once a second whether anybody waits, and frees the slot then."""
        if self._transport is not None:
            self._transport.abort()
        self._turn.end()


async def open_call(door: Door, path: str, body: bytes, turn: Turn) -> WholeCall:
    """Sends a request. Raises EngineFailed, and has ended the turn then."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            transport, call = await asyncio.get_running_loop().create_connection(
                lambda: WholeCall(turn), door.host, door.port
            )
    except BaseException as error:
        turn.end()
        if isinstance(error, OSError):  # a timeout is one, too
            raise EngineFailed(f"llama.cpp's own server cannot be reached: {error}.") from error
        raise
    transport.write(door.request(path, body))
    return call
