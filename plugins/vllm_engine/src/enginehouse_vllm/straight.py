"""Writes an answer that is one call of vLLM's, in the very task in which vLLM's server makes it.

The runner's own writer has a task for each call, so that many can be in one answer and none holds the others up; each
token then wakes three tasks. Here what vLLM sends is turned into this server's event on the way, and written.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from enginehouse.runner.answers import Answer
from enginehouse.runner.exchange import Exchange
from enginehouse.runner.metrics import Metrics
from enginehouse.runner.sse import error_event
from enginehouse.runner.writing import as_enginehouse_error
from enginehouse.sdk import GenerateRequest, Piece
from enginehouse.sdk.worker import USAGE_COMMENT, USAGE_HEADER

from .model_server import ModelServer


class _Cut(Exception):
    """The answer is complete before vLLM's is, which is given up."""


class StraightWriter:
    """Writes `answer`, whose one request is `request`. arrived: monotonic seconds when the request came."""

    def __init__(
        self, exchange: Exchange, answer: Answer, metrics: Metrics, arrived: float, model: ModelServer
    ) -> None:
        self._exchange = exchange
        self._answer = answer
        self._metrics = metrics
        self._arrived = arrived
        self._asked = monotonic()
        self._first_us = 0
        self._began = False
        self._model = model

    async def run(self) -> None:
        """Raises the engine's error when nothing has been sent yet; later ones become an event of the stream."""
        exchange, answer = self._exchange, self._answer
        (request,) = answer.requests
        assert isinstance(request, GenerateRequest)
        try:
            with suppress(_Cut):
                await self._model.run(request, self._take)
            rest = b"" if answer.is_done(0) else answer.end(0)
            await self._end(rest + answer.closing())
        except Exception as error:  # the engine is foreign code; its caller is told
            if not exchange.started:
                raise
            failure = as_enginehouse_error(error, exchange.request_id)
            self._metrics.errors[failure.code] += 1
            await exchange.end_stream(error_event(failure) + self._last_words())
        finally:
            usage = answer.usage()
            self._metrics.prompt_tokens += usage.prompt_tokens
            self._metrics.generated_tokens += usage.completion_tokens

    async def _take(self, pieces: list[Piece]) -> None:
        if not self._began:
            self._began = True
            now = monotonic()
            self._metrics.observe_first_token(now - self._arrived)
            self._first_us = round((now - self._asked) * 1e6)
        answer, out = self._answer, b""
        for piece in pieces:
            out += answer.take(0, piece)
            if answer.is_done(0):
                break
        if out:
            await self._stream(out)
        if answer.is_done(0) and piece.finish_reason is None:
            raise _Cut  # at a stop string that vLLM was not told

    async def _stream(self, out: bytes) -> None:
        if not self._exchange.started:
            await self._exchange.start_stream()
            out = self._answer.opening() + out
        await self._exchange.write(out)

    async def _end(self, out: bytes) -> None:
        exchange = self._exchange
        if not self._answer.stream:
            more = [(USAGE_HEADER.decode(), self._stated_usage())] if exchange.states_usage else []
            return await exchange.answer(out, more=more)
        if not exchange.started:
            await exchange.start_stream()
            out = self._answer.opening() + out
        await exchange.end_stream(out + self._last_words())

    def _stated_usage(self) -> str:
        usage = self._answer.usage()
        prepared_us = round((self._asked - self._arrived) * 1e6)
        return f"{usage.prompt_tokens} {usage.completion_tokens} {prepared_us} {self._first_us}"

    def _last_words(self) -> bytes:
        if not self._exchange.states_usage:
            return b""
        return USAGE_COMMENT + self._stated_usage().encode() + b"\n\n"
