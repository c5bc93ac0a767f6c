"""Notices a client that goes away while its answer is being made."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

from .arrivals import ClientGone

WATCH_AFTER = 0.005  # seconds: most small answers are through by then, and need no task that watches


class Watch:
    """Within its block the current task is interrupted, and ClientGone raised, once the client has gone."""

    __slots__ = ("_gone", "_owner", "_receive", "_timer", "_watching")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._watching: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        owner = asyncio.current_task()
        assert owner is not None
        self._owner = owner
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError) and self._owner.uncancel() == 0:
            raise ClientGone from None

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._owner.cancel()
