"""A load generator that costs little: HTTP/1.1 keep-alive on TCP or Unix sockets, answers hardly parsed.

It knows only the answers of this project: a Content-Length, or chunks that end with the last chunk.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

try:
    import uvloop
except ImportError:  # the figures of a load generator without it are its own, not the server's
    uvloop = None  # type: ignore[assignment]

Result = TypeVar("Result")
LAST_CHUNK = b"\r\n0\r\n\r\n"  # inside an event's JSON a line break is always escaped
EVENT = b"data: "
RUN_SECONDS = 300.0  # nothing measured here takes longer; a server that hangs ends the benchmark


class Place(NamedTuple):
    """Where to ask: a Unix socket's path, or a port of this machine."""

    name: str
    path: str | None = None
    port: int = 0


class Answered(NamedTuple):
    """One answer. Times in seconds; first: until the first byte of its body; events: SSE events in it."""

    seconds: float
    first: float
    status: int
    events: int
    body: bytes


class Run(NamedTuple):
    """What a run brought. seconds: of the whole run."""

    answers: list[Answered]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.answers) / self.seconds

    @property
    def events(self) -> int:
        return sum(answer.events for answer in self.answers)


class Connection(asyncio.Protocol):
    """Asks one thing after another, for as long as `again` says so."""

    def __init__(self, request: bytes, again: Callable[[Answered], bool], keep: bool, stamps: list[float] | None):
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._again, self._keep, self._stamps = request, again, keep, stamps
        self._transport: asyncio.WriteTransport | None = None
        self._asked = self._first = 0.0
        self._status, self._missing, self._events = 0, -1, 0
        self._head = self._tail = b""
        self._kept: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server closed the connection in mid answer"))

    def data_received(self, data: bytes) -> None:
        if not self._status:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._begin(data[:end])
            data = data[end + 4 :]
            # the chunk that is last may follow the head at once
            self._tail = b"\r\n"
        if data:
            self._body(data)
        elif self._missing == 0:
            self._finish()

    def _begin(self, head: bytes) -> None:
        self._status = int(head[9:12])
        lower = head.lower()
        at = lower.find(b"content-length:")
        self._missing = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1

    def _body(self, data: bytes) -> None:
        if not self._first:
            self._first = time.perf_counter()
        joined = self._tail + data
        events = joined.count(EVENT)
        if events:
            self._events += events
            if self._stamps is not None:
                self._stamps.extend([time.perf_counter()] * events)
        self._tail = joined[-(len(LAST_CHUNK) - 1) :]
        if EVENT in self._tail:  # counted already
            self._tail = self._tail.replace(EVENT, b"")
        if self._keep:
            self._kept.append(data)
        if self._missing >= 0:
            self._missing -= len(data)
            if self._missing == 0:
                self._finish()
        elif joined.endswith(LAST_CHUNK):
            self._finish()

    def _finish(self) -> None:
        now = time.perf_counter()
        answer = Answered(
            now - self._asked, self._first - self._asked, self._status, self._events, b"".join(self._kept)
        )
        assert self._transport is not None
        if self._again(answer):
            self._ask()
        else:
            self.ended.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        self._reset()
        assert self._transport is not None
        self._transport.write(self._request)

    def _reset(self) -> None:
        self._asked, self._first = time.perf_counter(), 0.0
        self._status, self._missing, self._events = 0, -1, 0
        self._head = self._tail = b""
        self._kept = []


def make_request(path: str, body: dict[str, Any]) -> bytes:
    """A POST of JSON, ready to be sent again and again."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: benchmark\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


async def load(
    place: Place,
    request: bytes,
    *,
    requests: int,
    concurrency: int = 1,
    keep: bool = False,
    stamps: list[float] | None = None,
) -> Run:
    """Sends `requests` copies over `concurrency` connections, each as soon as the one before is answered.

    keep: bodies too. stamps: filled with the time.perf_counter() at which each event came.
    Raises RuntimeError when an answer is not 200.
    """
    answers: list[Answered] = []
    left = requests

    def again(answer: Answered) -> bool:
        nonlocal left
        answers.append(answer)
        left -= 1
        return left >= concurrency  # those in flight are counted in `left`

    began = time.perf_counter()
    connections = [await _connect(place, Connection(request, again, keep, stamps)) for _ in range(concurrency)]
    await asyncio.wait_for(asyncio.gather(*(each.ended for each in connections)), RUN_SECONDS)
    seconds = time.perf_counter() - began
    bad = [answer.status for answer in answers if answer.status != 200]
    if bad:
        raise RuntimeError(f"{place.name}: {len(bad)} of {len(answers)} answers were not 200, the first {bad[0]}")
    return Run(answers, seconds)


async def _connect(place: Place, connection: Connection) -> Connection:
    loop = asyncio.get_running_loop()
    if place.path:
        await loop.create_unix_connection(lambda: connection, place.path)
    else:
        await loop.create_connection(lambda: connection, "127.0.0.1", place.port)
    return connection


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """asyncio.run on the quickest loop there is."""
    return uvloop.run(work) if uvloop else asyncio.run(work)
