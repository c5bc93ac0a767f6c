"""Runs an answer's calls and writes what they yield."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Protocol

from ..sdk import EngineFailed, EnginehouseError
from ..sdk.worker import USAGE_COMMENT, USAGE_HEADER
from .answers import Answer
from .calls import Calls, Ended, Item
from .exchange import Exchange
from .metrics import Metrics
from .sse import error_event

_log = logging.getLogger(__name__)


class Writes(Protocol):
    """Makes one answer and writes it."""

    async def run(self) -> None:
        """Raises the engine's error when nothing has been sent yet; later ones become an event of the stream."""


class Writer:
    """Writes one answer to one exchange. arrived: monotonic seconds when the request came."""

    def __init__(self, exchange: Exchange, answer: Answer, metrics: Metrics, arrived: float) -> None:
        self._exchange = exchange
        self._answer = answer
        self._metrics = metrics
        self._arrived = arrived
        self._asked = monotonic()
        self._first_us = 0
        self._calls = Calls(answer.method, answer.requests)
        self._open = set(range(len(answer.requests)))
        self._began = False

    async def run(self) -> None:
        """Raises the engine's error when nothing has been sent yet; later ones become an event of the stream."""
        try:
            if self._answer.stream:
                await self._stream()
            else:
                await self._whole()
            if not self._open:
                await self._calls.end()
        finally:
            usage = self._answer.usage()
            self._metrics.prompt_tokens += usage.prompt_tokens
            self._metrics.generated_tokens += usage.completion_tokens
            await self._calls.close()

    async def _whole(self) -> None:
        while self._open:
            _, error = self._take(await self._calls.batch())
            if error is not None:
                raise error
        body = self._answer.closing()
        more = [(USAGE_HEADER.decode(), self._stated_usage())] if self._exchange.states_usage else []
        await self._exchange.answer(body, more=more)

    async def _stream(self) -> None:
        exchange, answer = self._exchange, self._answer
        while self._open:
            data, error = self._take(await self._calls.batch())
            if not exchange.started:
                if error is not None:
                    raise error
                await exchange.start_stream()
                data = answer.opening() + data
            if error is not None:
                failure = as_enginehouse_error(error, exchange.request_id)
                self._metrics.errors[failure.code] += 1
                await exchange.end_stream(data + error_event(failure) + self._last_words())
                return
            if not self._open:
                await exchange.end_stream(data + answer.closing() + self._last_words())
            elif data:
                await exchange.write(data)

    def _stated_usage(self) -> str:
        usage = self._answer.usage()
        prepared_us = round((self._asked - self._arrived) * 1e6)
        return f"{usage.prompt_tokens} {usage.completion_tokens} {prepared_us} {self._first_us}"

    def _last_words(self) -> bytes:
        """The usage as a comment, for who asked: no client's parser reads comments."""
        if not self._exchange.states_usage:
            return b""
        return USAGE_COMMENT + self._stated_usage().encode() + b"\n\n"

    def _take(self, batch: list[Item]) -> tuple[bytes, Exception | None]:
        """What the batch becomes on the wire, up to the first error in it."""
        if not self._began:
            self._began = True
            now = monotonic()
            self._metrics.observe_first_token(now - self._arrived)
            self._first_us = round((now - self._asked) * 1e6)
        answer, opened = self._answer, self._open
        out: list[bytes] = []
        for index, item in batch:
            if index not in opened:
                continue
            try:
                if isinstance(item, Ended):
                    if item.error is not None:
                        return b"".join(out), item.error
                    out.append(answer.end(index))
                    opened.discard(index)
                    continue
                out.append(answer.take(index, item))
            except EnginehouseError as error:
                return b"".join(out), error
            if answer.is_done(index):
                opened.discard(index)
                if getattr(item, "finish_reason", None) is None:
                    self._calls.stop(index)  # cut by a stop string; else the engine ends by itself
        return b"".join(out), None


def as_enginehouse_error(error: Exception, request_id: str) -> EnginehouseError:
    """The error as the caller is told it; what foreign code raised is logged with its traceback."""
    if isinstance(error, EnginehouseError):
        return error
    _log.error("Request %s: the engine raised.", request_id, exc_info=error)
    return EngineFailed(f"The engine failed on this request: {type(error).__name__}: {error}. See the worker's log.")
