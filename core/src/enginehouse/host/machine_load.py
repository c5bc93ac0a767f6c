"""What the cluster's machines do and have left at the moment: figures to show, never to plan by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from ..sdk import Node

LOOK_SECONDS = 1.0  # whoever asks more often gets the last figures: a look at accelerators starts a process


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one moment. ts: seconds since 1970."""

    ts: float
    nodes: tuple[Node, ...]


class LoadWatch:
    """Looks at most once in LOOK_SECONDS, for all who ask. look: gives the machines as they are now."""

    def __init__(self, look: Callable[[], Awaitable[tuple[Node, ...]]]) -> None:
        self._look = look
        self._last: Load | None = None
        self._looked = float("-inf")
        self._looking = asyncio.Lock()

    async def load(self) -> Load:
        """The figures of now, or of a moment ago. Raises EnginehouseError where the cluster does not say."""
        async with self._looking:
            if self._last is None or time.monotonic() - self._looked > LOOK_SECONDS:
                self._last = Load(ts=time.time(), nodes=await self._look())
                self._looked = time.monotonic()
            return self._last
