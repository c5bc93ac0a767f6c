"""The cluster `local`: workers on the server's own machine, each under a keeper that outlives the server."""

from __future__ import annotations

import asyncio

from ..sdk import CannotRun, ExitRecord, Node, WorkerHandle, WorkerOrder
from ..sdk.keepers import adopt_kept, start_kept
from ..sdk.this_machine import ThisMachine

NAME = "local"


class LocalCluster:
    """A `Cluster` of one node, which is called as the cluster is."""

    def __init__(self) -> None:
        self._machine = ThisMachine()

    async def nodes(self) -> tuple[Node, ...]:
        return (await asyncio.to_thread(self._machine.look, NAME),)

    async def start(self, order: WorkerOrder, node: str) -> WorkerHandle:
        if node != NAME:
            raise CannotRun(f"The cluster {NAME} has no node {node!r}; it has: {NAME}.")
        return await start_kept(order, node)

    async def adopt(self, order: WorkerOrder, node: str) -> WorkerHandle | ExitRecord | None:
        return await adopt_kept(order, node)
