"""Streamed answers on their way from the library's threads, which call back at every token, to the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import msgspec

from enginehouse.sdk import BadRequest

from ..chunks import Chunk, Fault, StopType, Token

Take = Callable[[bytes], bool]
_STOPS: dict[str | None, StopType] = {"stop": "eos", "length": "limit"}


class _Logprobs(msgspec.Struct):
    content: list[Token] = []


class _Choice(msgspec.Struct):
    text: str = ""
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Timings(msgspec.Struct):
    predicted_n: int = 0


class _Progress(msgspec.Struct):
    total: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Event(msgspec.Struct):
    """What of an event of llama.cpp's completions is read here."""

    choices: list[_Choice] = []
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None
    usage: _Usage | None = None
    error: Fault | None = None


_read = msgspec.json.Decoder(_Event).decode


class StreamCall:
    """Begins when it is made. `close` ends it, whether it has begun to answer or still waits for a thread."""

    def __init__(self, complete: Callable[[bytes, Take], Any], body: bytes, executor: Executor) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._ended = False
        self._unwanted = False
        self._future: Future[None] = executor.submit(self._run, complete, body)

    async def batch(self) -> list[Chunk]:
        """Waits for chunks; gives all that have come, none when the answer has ended. Raises what the library did."""
        while True:
            self._woken = False
            ended = self._ended  # asked before: chunks come before the end, and their news may come after them
            if taken := [self._chunks.popleft() for _ in range(len(self._chunks))]:
                return [_chunk(_read(data)) for data in taken]
            if ended:
                break
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None:
            raise self._error
        return []

    def close(self) -> None:
        """The library frees the slot at its next step."""
        self._unwanted = True
        self._future.cancel()

    def _run(self, complete: Callable[[bytes, Take], Any], body: bytes) -> None:
        if self._unwanted:
            return
        try:
            complete(body, self._take)
        except ValueError as error:
            self._error = BadRequest(f"llama.cpp cannot read this request: {error}")
        except Exception as error:  # noqa: BLE001 - the library is foreign code; who waits gets what it raised
            self._error = error
        self._ended = True
        self._wake()

    def _take(self, chunk: bytes) -> bool:
        self._chunks.append(chunk)
        if not self._woken:
            self._wake()
        return self._unwanted

    def _wake(self) -> None:
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._arrive)
        except RuntimeError:
            self._unwanted = True  # the loop has closed: nobody waits there any more

    def _arrive(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _chunk(event: _Event) -> Chunk:
    choice = event.choices[0] if event.choices else _Choice()
    if event.usage is not None:
        predicted, evaluated = event.usage.completion_tokens, event.usage.prompt_tokens
    else:
        predicted = event.timings.predicted_n if event.timings else 0
        evaluated = event.prompt_progress.total if event.prompt_progress else 0
    return Chunk(
        content=choice.text,
        tokens_predicted=predicted,
        tokens_evaluated=evaluated,
        stop=choice.finish_reason is not None,
        stop_type=_STOPS.get(choice.finish_reason, "none"),
        completion_probabilities=choice.logprobs.content if choice.logprobs else [],
        error=event.error,
    )
