"""Requests that wait for a turn at a busy model: first come, first served, so many and so long at most."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from ..sdk.errors import Overloaded
from .launch_request import LaunchRequest
from .settings import Settings

T = TypeVar("T")


class LimitReached(Overloaded):
    """Every replica answers as many requests as it may."""

    code, kind = "rate_limit_exceeded", "rate_limit_error"


class Turns:
    """The queue before one model. length: of requests that wait; seconds: each waits at most."""

    def __init__(self, length: int, seconds: float) -> None:
        self._length = length
        self._seconds = seconds
        self._waiting: deque[asyncio.Event] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def resized_as(self, other: Turns) -> Turns:
        """This queue with the bounds of another: whoever waits keeps the place, and the time it came with."""
        self._length, self._seconds = other._length, other._seconds
        return self

    def step(self) -> None:
        """A request has ended, or replicas have changed: the first one that waits looks again."""
        if self._waiting:
            self._waiting[0].set()

    async def wait(self, take: Callable[[], T], full: LimitReached) -> T:
        """What `take` gives once it does not raise LimitReached.

        Raises `full` when the queue is full or the wait too long, and whatever else `take` raises.
        """
        if len(self._waiting) >= self._length:
            raise full
        called = asyncio.Event()
        self._waiting.append(called)
        try:
            async with asyncio.timeout(self._seconds):
                return await _until_taken(called, take)
        except TimeoutError:
            raise full from None
        finally:
            self._waiting.remove(called)
            self.step()  # where two ended at once there is room for the next one too


async def _until_taken(called: asyncio.Event, take: Callable[[], T]) -> T:
    while True:
        await called.wait()
        called.clear()
        try:
            return take()
        except LimitReached:
            continue


def turns_for(request: LaunchRequest, settings: Settings) -> Turns | None:
    """The queue of requests beyond a model's limit; without a limit there is none."""
    if request.request_limits is None:
        return None
    length = settings.queue_length if request.queue_length is None else request.queue_length
    return Turns(length, settings.queue_seconds)
