"""What the cluster's machines do and have left at the moment: figures to show, never to plan by."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec

from ..sdk import EnginehouseError, Node
from .routing import RETRY_AFTER_SECONDS

LOOK_SECONDS = 1.0  # whoever asks more often gets the last figures: a look at accelerators starts a process
LATE_SECONDS = 5.0  # a look takes two where a driver is slow; later than this the last figures do

logger = logging.getLogger(__name__)


class NodesUnknown(EnginehouseError):
    """The cluster does not say now what its machines are, and has not said so before."""

    status, code = 503, "nodes_unknown"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one moment. ts: seconds since 1970."""

    ts: float
    nodes: tuple[Node, ...]


class LoadWatch:
    """Looks at most once in LOOK_SECONDS, for all who ask. look: gives the machines as they are now, within a bound."""

    def __init__(self, look: Callable[[], Awaitable[tuple[Node, ...]]]) -> None:
        self._look = look
        self._looking: asyncio.Task[None] | None = None
        self._looked = float("-inf")
        self._last: Load | None = None
        self._failure = "It has not been asked yet."

    async def load(self) -> Load:
        """The figures of now, or of a moment ago; where the cluster is late or does not say, the last ones it gave.

        Raises NodesUnknown when it never gave any.
        """
        looking = self._looking
        if looking is None or (looking.done() and time.monotonic() - self._looked > LOOK_SECONDS):
            looking = self._looking = asyncio.create_task(self._renew(), name="look at the machines")
        await asyncio.wait({looking}, timeout=LATE_SECONDS if self._last else None)
        if looking.done():
            looking.result()
        if self._last is None:
            raise NodesUnknown(self._failure, retry_after=RETRY_AFTER_SECONDS)
        return self._last

    async def _renew(self) -> None:
        """One look; it belongs to all who wait, so that nobody who leaves ends it."""
        try:
            nodes = await self._look()
            self._last = Load(ts=time.time(), nodes=nodes)
        except EnginehouseError as error:
            self._failure = error.message
            logger.warning("what the machines do is not known now: %s", error)
        finally:
            self._looked = time.monotonic()
