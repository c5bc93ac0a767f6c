"""Workers that checks of a cluster start: a folder with an order, as the host makes it, and nothing left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from ...host.home import private_folder, socket_folder
from ...host.lines import open_line
from ...host.targets import resolve
from ...sdk import Cluster, EnginehouseError, ExitRecord, WorkerHandle, WorkerOrder
from ..waiting import alive
from .check import Failed, Unclear

SECONDS = 60.0  # what any step of a cluster may take here: a keeper is started in a tenth of one
GRACE = 0.5  # for a probe that goes at SIGTERM, and for one that does not
LEASE = 3.0  # short enough to be waited for; a machine that swaps may still renew it
LOOK = 0.02  # between looks at what takes a moment
MODULE = "enginehouse.testing.probe"


class Said(msgspec.Struct, frozen=True):
    """What a probe says of itself."""

    pid: int
    child: int | None
    folder: str
    variables: dict[str, str]


class Probe:
    """One order, and what it came to. Everything it starts is ended by `probing`."""

    def __init__(self, target: str, cluster: Cluster, node: str, order: WorkerOrder) -> None:
        self.target, self.cluster, self.node, self.order = target, cluster, node, order
        self.handle: WorkerHandle | None = None
        self._is_here = False
        self._seen: set[int] = set()

    async def start(self, node: str | None = None) -> WorkerHandle:
        """Starts the worker; on another node than the first where that is named."""
        handle: WorkerHandle = await within(self.cluster.start(self.order, self.node if node is None else node))
        return self.hold(handle)

    def hold(self, handle: WorkerHandle) -> WorkerHandle:
        """Takes this handle for the worker's, to be ended by it."""
        self.handle, self._is_here = handle, handle.pid is not None
        return handle

    async def leave(self) -> None:
        """Lets go of the worker."""
        assert self.handle is not None
        handle, self.handle = self.handle, None
        await within(handle.leave())

    async def find(self) -> WorkerHandle | ExitRecord | None:
        """What a cluster that was made anew finds of it."""
        cluster: Cluster = resolve(self.target)()
        found: WorkerHandle | ExitRecord | None = await within(cluster.adopt(self.order, self.node))
        return found if found is None or isinstance(found, ExitRecord) else self.hold(found)

    async def say(self, path: str = "/health", seconds: float = SECONDS) -> Said:
        """What the probe says at its address, once it listens. Raises Failed when it does not, for so long."""
        assert self.handle is not None
        address = self.handle.address
        try:
            said: Said = await until(lambda: _said(address, path), seconds)
        except TimeoutError:
            raise Failed(f"GET {path} at {address}", "no answer", "200, from the worker that was started") from None
        self._seen |= {pid for pid in (said.pid, said.child) if pid}
        return said

    def gone(self, pid: int) -> Callable[[], Awaitable[bool]]:
        """Whether a process is gone. Raises Unclear where the cluster's processes cannot be seen from here."""
        if not self._is_here:
            raise Unclear("its workers run on another machine, where this cannot be seen")

        async def look() -> bool:
            return not alive(pid)

        return look

    async def end(self) -> None:
        with contextlib.suppress(Exception):  # the cluster is what is checked: its failure is told elsewhere
            if self.handle is None:  # left, or started by a step that was cancelled
                await self.find()
            if self.handle is not None:
                await within(self.handle.stop(0))
        if self._is_here:
            for pid in filter(alive, self._seen):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.order.folder, ignore_errors=True)
        shutil.rmtree(Path(self.order.control).parent, ignore_errors=True)


@contextlib.asynccontextmanager
async def probing(target: str, *deeds: str, **fields: Any) -> AsyncIterator[Probe]:
    """A probe on the first node of the cluster at "module:Class". deeds: of the probe; fields: of its order."""
    cluster: Cluster = resolve(target)()
    nodes = await within(cluster.nodes())
    if not nodes:
        raise Failed("nodes()", "none", "at least one")
    probe = Probe(target, cluster, nodes[0].name, write_order(*deeds, **fields))
    try:
        yield probe
    finally:
        await probe.end()


def write_order(*deeds: str, **fields: Any) -> WorkerOrder:
    """An order for a probe, in a private folder of its own."""
    folder = private_folder(Path(tempfile.mkdtemp(prefix="eh-")))  # short: a socket's path has a limit
    sockets = socket_folder(folder)
    order = WorkerOrder(
        worker_id=secrets.token_hex(6),
        model_uid="checked",
        token=secrets.token_hex(16),
        folder=str(folder),
        socket=str(sockets / "http.sock"),
        control=str(sockets / "keeper.sock"),
        argv=(sys.executable, "-P", "-m", MODULE, str(sockets / "http.sock"), *deeds),
        drain_seconds=GRACE,
    )
    order = msgspec.structs.replace(order, **fields)
    (folder / "order.json").write_bytes(msgspec.json.encode(order))
    return order


def run(scene: Coroutine[Any, Any, None]) -> None:
    """Runs what a check does, on an event loop as the server's."""
    asyncio.run(scene)


async def within(step: Awaitable[Any], seconds: float = SECONDS) -> Any:
    """What a step of the cluster gives. Raises Failed when it takes too long."""
    try:
        async with asyncio.timeout(seconds):
            return await step
    except TimeoutError:
        raise Failed("a step of the cluster", f"nothing for {seconds:g} s", "an answer") from None


async def until(look: Callable[[], Awaitable[Any]], seconds: float = SECONDS) -> Any:
    """What `look` gives once it is true-ish. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (value := await look()):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(LOOK)
        return value


async def refused(step: Awaitable[Any], sent: str) -> str:
    """The message of the EnginehouseError that a step raises. Raises Failed when it raises none, or another."""
    try:
        came = await within(step)
    except EnginehouseError as error:
        return error.message
    raise Failed(sent, f"{came!r}", "an EnginehouseError that says what happened and what to do")


def record_of(found: object, sent: str) -> ExitRecord:
    """Raises Failed for what is no record."""
    if not isinstance(found, ExitRecord):
        raise Failed(sent, f"{found!r}", "an ExitRecord")
    return found


async def _said(address: str, path: str) -> Said | None:
    try:
        reader, writer = await open_line(address)
    except OSError:
        return None
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nhost: worker\r\n\r\n".encode())
        answer = await reader.read()
    except OSError:
        return None
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return msgspec.json.decode(body, type=Said) if b" 200 " in head.partition(b"\r\n")[0] else None
