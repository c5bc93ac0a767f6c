"""A worker, seen from the host: its order, the cluster's handle of it, and its health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from ..sdk import EngineFailed, EnginehouseError, ExitRecord, Health, WorkerHandle, WorkerOrder
from .clusters import Clusters, asked
from .lines import open_line
from .sites import Site

T = TypeVar("T")
ADOPT_SECONDS = 30.0  # a keeper that is stopped is waited for 5 s; another machine's answers in less than this
STOP_SECONDS = 60.0  # beyond the grace, for a cluster to see to it that nothing is left
LOGS_SECONDS = 10.0  # a log of ten megabytes is read in a moment, on another machine too
HEALTH_SECONDS = 5.0  # a runner answers in a millisecond; while a library holds the interpreter it may take long
SLEEP_SECONDS = 120.0  # a device's whole memory goes to the machine's, which may have to page it in first
WAKE_SECONDS = 120.0  # and back; beyond that a load would have been quicker
HEALTH_BYTES = 65_536  # a health page is a line; head and body come in one read

logger = logging.getLogger(__name__)


class Worker:
    """A worker that is held. ended: done, with its ExitRecord, when the worker is gone."""

    def __init__(self, order: WorkerOrder, site: Site, handle: WorkerHandle) -> None:
        self.order = order
        self.site = site
        self.address = handle.address
        self.pid = handle.pid
        self.started_at = handle.started_at
        self.ended = asyncio.create_task(self._watch(), name=f"end of worker {order.worker_id}")
        self._handle = handle

    @property
    def where(self) -> str:
        """For people."""
        return f"process {self.pid}" if self.pid else f"on {self.site.node}"

    async def health(self) -> Health | None:
        """What the worker's /health says; None while nobody answers there."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                status, body = await _exchange(self.address, "GET", self.order.health)
        except (OSError, TimeoutError, ValueError):
            return None
        return _health(status, body)

    async def sleep(self) -> None:
        """It gives its devices' memory back and stays. Raises EngineFailed; then it is of no use any more."""
        await self._turn("sleep", SLEEP_SECONDS)

    async def wake(self) -> None:
        """It is ready again. Raises as `sleep`."""
        await self._turn("wake", WAKE_SECONDS)

    async def _turn(self, how: str, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                status, body = await _exchange(self.address, "POST", f"/{how}")
        except TimeoutError:
            raise EngineFailed(f"It did not {how} within {seconds:g} s.") from None
        except (OSError, ValueError) as error:
            raise EngineFailed(f"It was gone when it should {how}: {error}") from error
        if status != 200:
            said = _detail(body) or body[:500].decode("utf-8", "replace")
            raise EngineFailed(f"It did not {how}: {said}")

    async def stop(self, grace: float) -> ExitRecord:
        """Drains and ends the worker: SIGTERM, after `grace` seconds SIGKILL. Returns when it is gone."""
        try:
            return await self._ask("end a worker", lambda: self._handle.stop(grace), grace + STOP_SECONDS)
        except EnginehouseError as error:
            logger.error("worker %s may still run: %s", self.order.worker_id, error)
            return ExitRecord(cause="stopped", at=time.time())

    async def logs(self, lines: int) -> tuple[str, ...]:
        """The last lines that it printed. Raises EnginehouseError."""
        return tuple(await self._ask("read a worker's log", lambda: self._handle.logs(lines), LOGS_SECONDS))

    async def leave(self) -> None:
        """Lets go of the worker, which runs on; a later server may claim it within its lease."""
        self.ended.cancel()
        with contextlib.suppress(EnginehouseError):  # its lease runs, whatever the cluster says
            await self._ask("let go of a worker", self._handle.leave, ADOPT_SECONDS)

    async def _watch(self) -> ExitRecord:
        try:
            return await self._handle.wait()
        except Exception as error:  # a plugin's code: a worker that nobody can watch is not used any more
            logger.exception("the cluster %s lost worker %s", self.site.cluster, self.order.worker_id)
            await self.stop(0)
            return ExitRecord(cause="exited", log_tail=(f"The cluster lost it: {type(error).__name__}: {error}",))

    async def _ask(self, what: str, ask: Callable[[], Awaitable[T]], seconds: float) -> T:
        return await asked(self.site.cluster, what, ask, seconds)


async def start_worker(order: WorkerOrder, site: Site, clusters: Clusters, seconds: float) -> Worker:
    """Starts a worker of the order within so many seconds. Raises EnginehouseError; then, and when cancelled, no
    process is left."""
    cluster = clusters.get(site.cluster)
    handle = await asked(site.cluster, "start a worker", lambda: cluster.start(order, site.node), seconds)
    return Worker(order, site, handle)


async def adopt_worker(order: WorkerOrder, site: Site, clusters: Clusters) -> Worker | ExitRecord | None:
    """A worker that a former server started, or how it ended; None where nobody knows.

    Raises EnginehouseError where its cluster cannot be asked.
    """
    cluster = clusters.get(site.cluster)
    found = await asked(site.cluster, "find a worker again", lambda: cluster.adopt(order, site.node), ADOPT_SECONDS)
    return found if found is None or isinstance(found, ExitRecord) else Worker(order, site, found)


async def _exchange(address: str, method: str, path: str) -> tuple[int, bytes]:
    """Status and body of an answer. HTTP/1.0, so that the answer ends with the connection."""
    reader, writer = await open_line(address)
    try:
        writer.write(f"{method} {path} HTTP/1.0\r\nHost: worker\r\n\r\n".encode())
        head, _, body = (await reader.read(HEALTH_BYTES)).partition(b"\r\n\r\n")
        while more := await reader.read(HEALTH_BYTES):
            body += more
        return int(head.split(None, 2)[1]), body
    except IndexError as error:
        raise ValueError("not an HTTP answer") from error
    finally:
        writer.close()


def _detail(body: bytes) -> str | None:
    """What an error's body says."""
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any])["detail"])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        return None


def _health(status: int, body: bytes) -> Health:
    try:
        return msgspec.json.decode(body, type=Health)
    except (msgspec.DecodeError, msgspec.ValidationError):
        # A server binary's own health page: only its status counts.
        return Health(state="ready" if status == 200 else "loading")
