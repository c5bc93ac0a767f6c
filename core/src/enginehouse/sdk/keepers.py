"""Workers of this machine in the hands of their keepers: a keeper is started, claimed over its control socket, and held
by renewing the worker's lease. What they say to each other is told in `enginehouse.sdk.worker`.

Not imported with `enginehouse.sdk`: for clusters, in the server's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from .errors import LaunchFailed
from .worker import ExitRecord, WorkerOrder

KEEPER = "enginehouse.keeper"
WORDS_FILE = "keeper.err"  # empty, unless a keeper could not even start
START_SECONDS = 20.0  # a keeper listens within a tenth of a second; a machine that swaps takes longer
CLAIM_SECONDS = 5.0  # a keeper answers at once or is stopped (SIGSTOP) or gone
KILL_SECONDS = 10.0  # beyond the grace, for the keeper to kill, reap and say so
RENEWALS_A_LEASE = 4  # so that three may be lost
LOG_FILES = ("worker.log.1", "worker.log")  # the older one first

logger = logging.getLogger(__name__)


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper says once it was claimed with the right token."""

    worker_id: str
    keeper_pid: int
    worker_pid: int
    started_at: float


class KeptWorker:
    """A claimed worker of this machine; a `WorkerHandle`. ended: done, with its ExitRecord, when it is gone."""

    def __init__(
        self, order: WorkerOrder, node: str, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.address = order.socket
        self.node = node
        self.pid = hello.worker_pid
        self.started_at = hello.started_at
        self.ended: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()
        self._order = order
        self._reader = reader
        self._writer = writer
        self._attending = asyncio.create_task(self._attend(), name=f"worker {order.worker_id}")

    async def wait(self) -> ExitRecord:
        return await asyncio.shield(self.ended)

    async def stop(self, grace: float) -> ExitRecord:
        self._send({"do": "stop", "grace": grace})
        await asyncio.wait({self.ended}, timeout=grace + KILL_SECONDS)
        if not self.ended.done():
            self._kill("the keeper did not stop it in time")
            await asyncio.wait({self.ended}, timeout=KILL_SECONDS)
        return self.ended.result() if self.ended.done() else ExitRecord(cause="stopped", at=time.time())

    async def logs(self, lines: int) -> tuple[str, ...]:
        return await asyncio.to_thread(_last_lines, Path(self._order.folder), lines)

    async def leave(self) -> None:
        self._attending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._attending
        self._writer.close()

    async def _attend(self) -> None:
        """Renews the lease and waits for the end."""
        pause = self._order.lease_seconds / RENEWALS_A_LEASE
        while True:
            self._send({"do": "renew"})
            try:
                async with asyncio.timeout(pause):
                    line = await self._reader.readline()
            except TimeoutError:
                continue
            except (OSError, ValueError):  # ValueError: a line beyond the reader's limit
                line = b""
            if not line:
                return self._lost()
            message = _message(line)
            if message.get("event") == "exited":
                self._writer.close()
                return self._end(_exit_record(message.get("exit")))

    def _lost(self) -> None:
        """The keeper itself died: nobody holds the worker any more, so nobody may use it."""
        self._kill("its keeper died")
        self._end(ExitRecord(cause="exited", log_tail=("The worker's keeper died, so the worker was ended too.",)))

    def _kill(self, why: str) -> None:
        logger.warning("worker %s is killed: %s", self._order.worker_id, why)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _end(self, record: ExitRecord) -> None:
        if not self.ended.done():
            self.ended.set_result(record)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")


async def start_kept(order: WorkerOrder, node: str, before: Sequence[str] = ()) -> KeptWorker:
    """Starts a keeper for the order, in the order's folder, and claims it. before: words of the command before its own,
    such as ("nice",). Raises LaunchFailed, OSError; then, and when cancelled, no process is left."""
    with (Path(order.folder) / WORDS_FILE).open("wb") as words:
        keeper = subprocess.Popen(  # noqa: ASYNC220 - forking takes a millisecond, and nobody waits for it here
            [*before, sys.executable, "-P", "-m", KEEPER, order.folder],  # -P: the folder holds no modules
            cwd=order.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,  # it outlives this server
        )
    try:
        worker = await _claim_started(order, node, keeper)
    except BaseException:  # also when cancelled: no keeper stays without a claim
        keeper.terminate()
        _reap(keeper, order.drain_seconds + KILL_SECONDS)
        raise
    worker.ended.add_done_callback(lambda _: _reap(keeper, KILL_SECONDS))
    return worker


async def adopt_kept(order: WorkerOrder, node: str) -> KeptWorker | ExitRecord | None:
    """As `Cluster.adopt`."""
    try:
        return await claim_worker(order, node)
    except (OSError, LaunchFailed) as error:  # TimeoutError is one of the first
        logger.info("worker %s of %s cannot be adopted: %r", order.worker_id, order.model_uid, error)
        return await asyncio.to_thread(read_exit, Path(order.folder))


async def claim_worker(order: WorkerOrder, node: str) -> KeptWorker | ExitRecord:
    """The worker that the order's keeper holds, or how it ended while nobody held it. Raises OSError where no keeper
    listens, TimeoutError where it does not answer, LaunchFailed where it refuses."""
    reader, writer = await asyncio.open_unix_connection(order.control, limit=2**20)
    try:
        writer.write(msgspec.json.encode({"do": "claim", "token": order.token}) + b"\n")
        async with asyncio.timeout(CLAIM_SECONDS):
            line = await reader.readline()
        message = _message(line)
        if message.get("event") == "exited":
            writer.close()
            return _exit_record(message.get("exit"))
        if message.get("event") != "hello":
            raise LaunchFailed(f"The keeper of worker {order.worker_id} refused the claim: {line!r}")
        return KeptWorker(order, node, msgspec.convert(message, Hello), reader, writer)
    except BaseException:  # also when cancelled: the line is given back
        writer.close()
        raise


def read_exit(folder: Path) -> ExitRecord | None:
    """The exit record that a keeper left when nobody was connected; None without one."""
    try:
        return msgspec.json.decode((folder / "exit.json").read_bytes(), type=ExitRecord)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


async def _claim_started(order: WorkerOrder, node: str, keeper: subprocess.Popen[bytes]) -> KeptWorker:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            claimed = await claim_worker(order, node)
        except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
            if keeper.poll() is not None:
                break
        else:
            if isinstance(claimed, ExitRecord):
                raise LaunchFailed(claimed.tell())
            return claimed
        await asyncio.sleep(0.005)  # a keeper listens after some 30 ms
    words = (Path(order.folder) / WORDS_FILE).read_text("utf-8", "replace")[-2000:].strip()
    raise LaunchFailed(f"The keeper of a worker for {order.model_uid!r} did not start: {words or 'it does not listen'}")


def _reap(keeper: subprocess.Popen[bytes], seconds: float) -> None:
    """Takes the exit status of a keeper that is to end within so many seconds, so that no zombie stays."""
    threading.Thread(target=_await_end, args=(keeper, seconds), name="reap", daemon=True).start()


def _await_end(keeper: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        keeper.wait(seconds)
    except subprocess.TimeoutExpired:  # stopped, most likely; what it holds ends with it
        keeper.kill()
        keeper.wait()


def _last_lines(folder: Path, lines: int) -> tuple[str, ...]:
    last: deque[str] = deque(maxlen=lines)
    for name in LOG_FILES:
        with contextlib.suppress(OSError), (folder / name).open(encoding="utf-8", errors="replace") as log:
            last.extend(line.rstrip("\n") for line in log)
    return tuple(last)


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return message if isinstance(message, dict) else {}


def _exit_record(value: Any) -> ExitRecord:
    try:
        return msgspec.convert(value, ExitRecord)
    except msgspec.ValidationError:
        return ExitRecord(cause="exited", log_tail=("Its keeper said no more.",))
