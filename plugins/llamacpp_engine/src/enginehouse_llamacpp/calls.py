"""One answer on its way from the library's thread to the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Executor, Future
from time import monotonic

from enginehouse.sdk import BadRequest

from .native import Native


class NativeCall:
    """Begins when it is made; `close` ends it, whether it has begun to answer or still waits for a thread.

    rest: seconds after a batch in which the event loop is left alone. While it runs Python, the library's threads
    wait for the interpreter's lock.
    """

    def __init__(self, native: Native, body: bytes, executor: Executor, rest: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._error: Exception | None = None
        self._came = asyncio.Event()
        self._woken = False
        self._ended = False
        self._unwanted = False
        self._rest = rest
        self._rests_until = 0.0  # the first chunk is told at once
        self._future: Future[None] = executor.submit(self._run, native, body)

    async def batch(self) -> list[bytes]:
        """Waits for chunks; gives all that have come, none when the answer has ended. Raises what the library did."""
        while True:
            if not self._ended:
                await self._came.wait()
            self._came.clear()
            self._rests_until = monotonic() + self._rest
            self._woken = False
            ended = self._ended  # asked before: chunks come before the end, and their news may come after them
            if chunks := [self._chunks.popleft() for _ in range(len(self._chunks))]:
                return chunks
            if ended:
                break
        if self._error is not None:
            raise self._error
        return []

    def close(self) -> None:
        """Nothing more is wanted: the library frees the slot at its next step."""
        self._unwanted = True
        self._future.cancel()

    def _run(self, native: Native, body: bytes) -> None:
        if self._unwanted:
            return
        try:
            native.complete(body, self._take)
        except ValueError as error:
            self._error = BadRequest(f"llama.cpp cannot read this request: {error}")
        except Exception as error:  # noqa: BLE001 - the library is foreign code; who waits gets what it raised
            self._error = error
        self._ended = True
        self._wake()

    def _take(self, chunk: bytes) -> bool:
        self._chunks.append(chunk)
        if not self._woken and monotonic() >= self._rests_until:
            self._wake()
        return self._unwanted

    def _wake(self) -> None:
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._came.set)
        except RuntimeError:
            self._unwanted = True  # the loop has closed: nobody waits there any more
