"""A job: one call of a model, from the caller's side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from .model import Call

AHEAD = 16  # values that a model may be ahead of its caller: enough to amortise a hand-over, little enough to hold


class _End(NamedTuple):
    error: Exception | None


class Job:
    """Filled on a thread, read on the event loop. gone: nobody waits for its values any more."""

    def __init__(self, call: Call, stream: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.stream = stream
        self.gone = False
        self._loop = loop
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)

    async def items(self) -> AsyncIterator[msgspec.Raw]:
        """The values as they come. Raises what the job ended with."""
        while not isinstance(item := await self._items.get(), _End):
            self._room.release()
            yield item
        if item.error is not None:
            raise item.error

    def put(self, item: msgspec.Raw) -> bool:
        """Hands a value over, waiting while the caller is far behind. False when nobody wants more. On a thread."""
        self._room.acquire()
        if not self.gone:
            self._tell(self._items.put_nowait, item)
        return not self.gone

    def end(self, error: Exception | None = None) -> None:
        """The last word; of several the first counts. On any thread."""
        self._tell(self._items.put_nowait, _End(error))

    def leave(self) -> None:
        """The caller goes."""
        self.gone = True
        self._room.release()

    def _tell(self, callback: Any, *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            self.gone = True  # the loop has closed: the process is leaving
