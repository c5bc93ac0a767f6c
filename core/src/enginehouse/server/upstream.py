"""HTTP/1.1 to workers: pooled connections, and answers read as they arrive.

Only what a gateway needs: one POST after another on a connection, no redirects, cookies or encodings.
Grammar and framing are llhttp's (through httptools); this module holds connections and hands bytes on.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque

import httptools

from ..host.lines import read_address

CONNECT_SECONDS = 5.0  # a Unix socket answers at once; a full backlog clears as fast as the worker accepts
BACKLOG_PAUSE = 0.005  # between knocks at a full backlog, for which a Unix socket has no queue to wait in
IDLE_SECONDS = 2.0  # servers commonly close after 5 s of silence; below that, we never write into a closing connection
BUFFER_BYTES = 256 * 1024  # of one answer held for a slow client before the worker has to wait


class WorkerGone(Exception):
    """The worker's end of the connection failed; the text says how. begun: whether it had begun to answer."""

    def __init__(self, message: str, begun: bool = False) -> None:
        super().__init__(message)
        self.begun = begun


class Answer:
    """One answer as it arrives. headers: names in lower case. ended: its last byte is here."""

    __slots__ = ("_bytes", "_connection", "_lost", "_pieces", "_waiter", "ended", "headers", "length", "status")

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self.ended = False
        self._connection = connection
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._lost: WorkerGone | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def piece(self) -> bytes:
        """All bytes of the body that have come since the last call, waiting for some; empty at the end.

        Raises WorkerGone when the worker went away before the end.
        """
        while not self._pieces:
            if self.ended:
                return b""
            if self._lost:
                raise self._lost
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if self._bytes > BUFFER_BYTES and not self.ended:
            self._connection.resume()
        self._bytes = 0
        return data

    def close(self) -> None:
        """Hangs up unless the answer has ended: the worker takes it as a client that left."""
        if not self.ended:
            self._connection.hang_up()

    def take(self, data: bytes) -> None:
        """More of the body, from the connection."""
        self._pieces.append(data)
        self._bytes += len(data)
        if self._bytes > BUFFER_BYTES:
            self._connection.pause()

    def end(self) -> None:
        self.ended = True

    def lose(self, lost: WorkerGone) -> None:
        self._lost = lost
        self.wake()

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One connection to a worker; answers one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self.loop = pool.loop
        self.idle_since = 0.0
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._begun = False
        self._until_eof = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, head: bytes, body: bytes) -> Answer:
        """Sends a request; its answer fills as it arrives."""
        assert self._transport is not None
        self._answer = answer = Answer(self)
        self._begun = self._until_eof = False
        self._transport.writelines((head, body))
        return answer

    def hang_up(self) -> None:
        self._answer = None
        if self._transport:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.usable and self._transport:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            return self.hang_up()  # nobody asked: whatever this is, it is not an answer to the next request
        self._begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.hang_up()
            return answer.lose(WorkerGone(f"It does not speak HTTP: {error}", begun=True))
        answer.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if self._until_eof and exc is None:
            answer.end()
            return answer.wake()
        answer.lose(WorkerGone(f"It closed the connection{f' ({exc})' if exc else ''}.", self._begun))

    # What the parser calls, in the order of the bytes.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None:
            self._answer.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        answer = self._answer
        if answer is None:
            return
        answer.status = self._parser.get_status_code()
        if answer.status < 200:
            answer.headers.clear()  # an interim answer; the real one follows
            return
        chunked = False
        for name, value in answer.headers:
            if name == b"content-length":
                answer.length = int(value)
            elif name == b"transfer-encoding":
                chunked = True
        self._until_eof = answer.length is None and not chunked and answer.status not in (204, 304)

    def on_body(self, body: bytes) -> None:
        if self._answer is not None:
            self._answer.take(body)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is None or answer.status < 200:
            return
        answer.end()
        self._answer = None
        transport = self._transport
        if transport and self._parser.should_keep_alive() and not transport.get_write_buffer_size():
            self.resume()
            self._pool.give_back(self)
        else:
            self.hang_up()


class Pool:
    """Connections to one worker, at the path of a Unix socket or host:port. Grows with the requests in flight; the
    last one given back is used first."""

    def __init__(self, address: str) -> None:
        self.loop = asyncio.get_running_loop()
        self._place = read_address(address)
        self._idle: deque[Connection] = deque()

    async def ask(self, head: bytes, body: bytes) -> tuple[Answer, bytes]:
        """The answer, and the first bytes of its body. Raises WorkerGone; cancelled, it hangs up."""
        connection = self._take()
        if connection is not None:
            try:
                return await _exchange(connection, head, body)
            except WorkerGone as gone:
                if gone.begun:
                    raise
                # closed while it lay idle, most likely: a fresh connection tells whether the worker lives
        return await _exchange(await self._connect(), head, body)

    def give_back(self, connection: Connection) -> None:
        connection.idle_since = now = time.monotonic()
        self._idle.append(connection)
        if now - self._idle[0].idle_since > IDLE_SECONDS:
            self._idle.popleft().hang_up()

    def forget(self, connection: Connection) -> None:
        if self._idle and connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().hang_up()

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if time.monotonic() - connection.idle_since > IDLE_SECONDS:
                connection.hang_up()
                self.close()  # all others lay idle for longer
            elif connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if not isinstance(self._place, str):
                    _, connection = await self.loop.create_connection(lambda: Connection(self), *self._place)
                    return connection
                while (connected := _connected(self._place)) is None:  # noqa: ASYNC110 - nothing tells of room
                    await asyncio.sleep(BACKLOG_PAUSE)
                _, connection = await self.loop.create_unix_connection(lambda: Connection(self), sock=connected)
                return connection
        except TimeoutError:
            raise WorkerGone(f"It accepted no connection within {CONNECT_SECONDS:g} s.") from None
        except OSError as error:
            raise WorkerGone(f"It cannot be reached: {error}") from error


def _connected(path: str) -> socket.socket | None:
    """A connected socket, or None while the backlog is full. Event loops differ in what they make of the latter."""
    opened = socket.socket(socket.AF_UNIX)
    opened.setblocking(False)
    try:
        opened.connect(path)
    except BlockingIOError:
        opened.close()
        return None
    except OSError:
        opened.close()
        raise
    return opened


async def _exchange(connection: Connection, head: bytes, body: bytes) -> tuple[Answer, bytes]:
    answer = connection.ask(head, body)
    try:
        return answer, await answer.piece()
    except BaseException:  # also when cancelled: a half-read connection is of no use
        answer.close()
        raise
