"""Other surfaces' way back: a worker's chat stream, translated event by event.

The worker is always asked for a stream, also when the client wants its answer whole: one translation serves
both, and a client that leaves is noticed by the same means.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec
from starlette.types import Send

from ..sdk import EngineFailed, EnginehouseError, WorkerLost
from .chat_events import ChatEvents, Chunk, Refusal, read_refusal
from .relay import CLIENT_CLOSED, Opened
from .upstream import Answer, WorkerGone

ANSWER_BYTES = 2**28  # of an answer that is held whole: the tokens of the longest text that a body may hold
ERROR_BYTES = 2**20  # of a worker's error answer; what is longer is no message

Headers = list[tuple[bytes, bytes]]


class Style(Protocol):
    """How a surface says what is the same for all its answers."""

    def refusal(self, refusal: Refusal) -> bytes:
        """An error answer's JSON body."""

    def headers(self) -> Headers:
        """Headers of every answer."""


class Restater(Style, Protocol):
    """A worker's whole answer in a surface's own shape."""

    def restate(self, body: bytes) -> bytes:
        """The answer's JSON body. Raises msgspec.DecodeError for a body that is none."""


class Writer(Style, Protocol):
    """One answer in a surface's own shape: pure, from chunks to bytes.

    stream: whether events are wanted; else only `whole` gives bytes.
    """

    stream: bool

    def opening(self) -> bytes:
        """Events before the first chunk."""

    def take(self, chunk: Chunk) -> bytes:
        """What a chunk becomes."""

    def end(self) -> bytes:
        """Events that may go out as soon as the answer is complete."""

    async def keep(self) -> None:
        """Does what must be done before the client hears that the answer is complete."""

    def closing(self) -> bytes:
        """The last events."""

    def whole(self) -> bytes:
        """The answer as one JSON body."""

    def failing(self, refusal: Refusal) -> bytes:
        """The event that ends a stream in mid answer."""


class Failed(Exception):
    """The worker's answer failed after it had begun."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Sending:
    """What both ways back share: how whole answers, errors and pieces are sent and counted."""

    def __init__(self, send: Send, style: Style) -> None:
        self._send = send
        self._style = style
        self.begun = False
        self.status = CLIENT_CLOSED
        self.bytes = 0
        self.streamed = False

    async def refuse(self, error: EnginehouseError) -> None:
        await self._fail(Refusal.of(error))

    async def break_off(self, error: EnginehouseError) -> None:
        await self._fail(Refusal.of(error))

    async def relay(self, opened: Opened, model: str) -> None:
        try:
            if opened.answer.status != 200:
                raise Failed(await _read_error(opened.answer, opened.first))
            await self._relay(opened)
        except WorkerGone:
            lost = WorkerLost(f"The worker of model {model!r} died while it answered; try again.")
            await self._fail(Refusal.of(lost))
        except EnginehouseError as error:
            await self._fail(Refusal.of(error))
        except Failed as failed:
            await self._fail(failed.refusal)

    async def _relay(self, opened: Opened) -> None:
        raise NotImplementedError  # streamed or whole: see below

    async def _fail(self, refusal: Refusal) -> None:
        if self.begun:
            return  # in the midst of a whole body: the server cuts the connection
        retry = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
        await self._whole(refusal.status, self._style.refusal(refusal), retry)

    async def _whole(self, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        await self._begin(status, b"application/json", [(b"content-length", str(len(body)).encode()), *more])
        await self._piece(body, more=False)

    async def _begin(self, status: int, kind: bytes, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.begun = True
        self.status = status
        headers = [(b"content-type", kind), *more, *self._style.headers()]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _piece(self, piece: bytes, *, more: bool = True) -> None:
        if piece or not more:
            self.bytes += len(piece)
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})


class Translated(_Sending):
    """An `Out` of the relay that writes a worker's chat stream with a Writer."""

    def __init__(self, send: Send, writer: Writer) -> None:
        super().__init__(send, writer)
        self._writer = writer

    async def _relay(self, opened: Opened) -> None:
        writer, answer, events, piece = self._writer, opened.answer, ChatEvents(), opened.first
        if writer.stream:
            self.streamed = True
            await self._begin(200, b"text/event-stream; charset=utf-8")
            await self._piece(writer.opening())
        while piece or not answer.ended:
            taken, refusal = _take(writer, events.feed(piece))
            await self._piece(taken)
            if refusal is not None:
                raise Failed(refusal)
            piece = await answer.piece()
        await self._piece(writer.end())
        await writer.keep()
        if not writer.stream:
            return await self._whole(200, writer.whole())
        await self._piece(writer.closing(), more=False)

    async def _fail(self, refusal: Refusal) -> None:
        if self.begun and self._writer.stream:
            return await self._piece(self._writer.failing(refusal), more=False)
        await super()._fail(refusal)


class Restated(_Sending):
    """An `Out` of the relay that waits for a worker's whole answer and says it in another shape."""

    def __init__(self, send: Send, restater: Restater) -> None:
        super().__init__(send, restater)
        self._restater = restater

    async def _relay(self, opened: Opened) -> None:
        body = await read_whole(opened.answer, opened.first, ANSWER_BYTES)
        try:
            told = self._restater.restate(body)
        except msgspec.DecodeError as error:
            raise EngineFailed(f"The worker's answer cannot be read: {error}. See its log.") from error
        await self._whole(200, told)


def _take(writer: Writer, events: Iterable[Chunk | Refusal]) -> tuple[bytes, Refusal | None]:
    """What the events become, up to the first failure among them."""
    taken: list[bytes] = []
    for event in events:
        if isinstance(event, Refusal):
            return b"".join(taken), event
        taken.append(writer.take(event))
    return b"".join(taken), None


async def read_whole(answer: Answer, first: bytes, limit: int) -> bytes:
    """A worker's whole body, up to `limit` bytes."""
    pieces, size, piece = [first], len(first), first
    while (piece or not answer.ended) and size < limit:
        piece = await answer.piece()
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


async def _read_error(answer: Answer, first: bytes) -> Refusal:
    data = await read_whole(answer, first, ERROR_BYTES)
    retry = next((value for name, value in answer.headers if name == b"retry-after"), b"")
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = data.decode("utf-8", "replace")
    return read_refusal(answer.status, body, int(retry) if retry.isdigit() else None)
