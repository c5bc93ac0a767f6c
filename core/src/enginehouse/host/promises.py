"""Replicas that somebody has asked for and waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..sdk import Cancelled, LaunchFailed


class Promises:
    """By replica id: kept when it answers, broken with the reason when it will not."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[None]] = {}

    def __contains__(self, replica_id: int) -> bool:
        return replica_id in self._open

    def make(self, replica_id: int) -> None:
        self._open[replica_id] = asyncio.get_running_loop().create_future()

    def keep(self, replica_ids: Iterable[int]) -> None:
        for replica_id in replica_ids:
            if promise := self._open.pop(replica_id, None):
                promise.set_result(None)

    def withdraw(self, replica_id: int) -> None:
        """It was removed before it was ready."""
        if promise := self._open.pop(replica_id, None):
            promise.cancel()

    def break_(self, replica_id: int, reason: str) -> None:
        if promise := self._open.pop(replica_id, None):
            promise.set_exception(LaunchFailed(reason))
            promise.exception()  # looked at: nobody need wait for it

    def break_all(self, reason: str) -> None:
        for replica_id in list(self._open):
            self.break_(replica_id, reason)

    async def wait(self, replica_id: int) -> None:
        """Returns when it answers, or nothing was promised. Raises LaunchFailed, Cancelled when it was removed."""
        promise = self._open.get(replica_id)
        if promise is None:
            return
        await asyncio.wait({promise})
        if promise.cancelled():
            raise Cancelled(f"Replica {replica_id} was removed before it was ready.")
        promise.result()
