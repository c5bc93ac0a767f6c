"""A worker, seen from the host: its order, and the connection to its keeper over which it is held."""

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
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import EngineFailed, ExitRecord, Health, LaunchFailed, WorkerOrder

KEEPER = "enginehouse.keeper"
WORDS_FILE = "keeper.err"  # empty, unless a keeper could not even start
START_SECONDS = 20.0  # a keeper listens within a tenth of a second; a machine that swaps takes longer
CLAIM_SECONDS = 5.0  # a keeper answers at once or is stopped (SIGSTOP) or gone
KILL_SECONDS = 10.0  # beyond the grace, for the keeper to kill, reap and say so
HEALTH_SECONDS = 5.0  # a runner answers in a millisecond; while a library holds the interpreter it may take long
SLEEP_SECONDS = 120.0  # a device's whole memory goes to the machine's, which may have to page it in first
WAKE_SECONDS = 120.0  # and back; beyond that a load would have been quicker
HEALTH_BYTES = 65_536  # a health page is a line; head and body come in one read
RENEWALS_A_LEASE = 4  # so that three may be lost

logger = logging.getLogger(__name__)


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper says once it was claimed with the right token."""

    worker_id: str
    keeper_pid: int
    worker_pid: int
    started_at: float


class Worker:
    """A claimed worker. `ended` is done, with its ExitRecord, when the worker is gone."""

    def __init__(
        self, order: WorkerOrder, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.order = order
        self.hello = hello
        self.ended: asyncio.Future[ExitRecord] = asyncio.get_running_loop().create_future()
        self._reader = reader
        self._writer = writer
        self._attending = asyncio.create_task(self._attend(), name=f"worker {order.worker_id}")

    async def health(self) -> Health | None:
        """What the worker's /health says; None while nobody answers there."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                status, body = await _ask(self.order.socket, "GET", self.order.health)
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
                status, body = await _ask(self.order.socket, "POST", f"/{how}")
        except TimeoutError:
            raise EngineFailed(f"It did not {how} within {seconds:g} s.") from None
        except (OSError, ValueError) as error:
            raise EngineFailed(f"It was gone when it should {how}: {error}") from error
        if status != 200:
            said = _message(body).get("detail") or body[:500].decode("utf-8", "replace")
            raise EngineFailed(f"It did not {how}: {said}")

    async def stop(self, grace: float) -> ExitRecord:
        """Drains and ends the worker: SIGTERM, after `grace` seconds SIGKILL. Returns when it is gone."""
        self._send({"do": "stop", "grace": grace})
        await asyncio.wait({self.ended}, timeout=grace + KILL_SECONDS)
        if not self.ended.done():
            self._kill("the keeper did not stop it in time")
            await asyncio.wait({self.ended}, timeout=KILL_SECONDS)
        return self.ended.result() if self.ended.done() else ExitRecord(cause="stopped", at=time.time())

    async def leave(self) -> None:
        """Lets go of the worker, which runs on; a later server may claim it within its lease."""
        self._attending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._attending
        self._writer.close()

    async def _attend(self) -> None:
        """Renews the lease and waits for the end."""
        pause = self.order.lease_seconds / RENEWALS_A_LEASE
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
        logger.warning("worker %s is killed: %s", self.order.worker_id, why)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.hello.worker_pid, signal.SIGKILL)

    def _end(self, record: ExitRecord) -> None:
        if not self.ended.done():
            self.ended.set_result(record)

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")


async def start_worker(order: WorkerOrder) -> Worker:
    """Starts a keeper for the order and claims it. Raises LaunchFailed; cancelled, it leaves no process behind."""
    with (Path(order.folder) / WORDS_FILE).open("wb") as words:
        keeper = subprocess.Popen(  # noqa: ASYNC220 - forking takes a millisecond, and nobody waits for it here
            [sys.executable, "-P", "-m", KEEPER, order.folder],  # -P: the folder it starts in holds no modules
            cwd=order.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,  # it outlives this server
        )
    try:
        worker = await _claim_started(order, keeper)
    except BaseException:  # also when cancelled: no keeper stays without a claim
        keeper.terminate()
        _reap(keeper, order.drain_seconds + KILL_SECONDS)
        raise
    worker.ended.add_done_callback(lambda _: _reap(keeper, KILL_SECONDS))
    return worker


def _reap(keeper: subprocess.Popen[bytes], seconds: float) -> None:
    """Takes the exit status of a keeper that is to end within so many seconds, so that no zombie stays."""
    threading.Thread(target=_await_end, args=(keeper, seconds), name="reap", daemon=True).start()


def _await_end(keeper: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        keeper.wait(seconds)
    except subprocess.TimeoutExpired:  # stopped, most likely; what it holds ends with it
        keeper.kill()
        keeper.wait()


async def adopt_worker(order: WorkerOrder) -> Worker | None:
    """Claims a worker that a former server started; None when it is gone."""
    try:
        return await _claim(order)
    except (OSError, TimeoutError, LaunchFailed) as error:
        logger.info("worker %s of %s cannot be adopted: %r", order.worker_id, order.model_uid, error)
        return None


def read_exit(folder: Path) -> ExitRecord | None:
    """The exit record that a keeper left when nobody was connected; None without one."""
    try:
        return msgspec.json.decode((folder / "exit.json").read_bytes(), type=ExitRecord)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


async def _claim_started(order: WorkerOrder, keeper: subprocess.Popen[bytes]) -> Worker:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            return await _claim(order)
        except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
            if keeper.poll() is not None:
                break
        await asyncio.sleep(0.005)  # a keeper listens after some 30 ms
    words = (Path(order.folder) / WORDS_FILE).read_text("utf-8", "replace")[-2000:].strip()
    raise LaunchFailed(f"The keeper of a worker for {order.model_uid!r} did not start: {words or 'it does not listen'}")


async def _claim(order: WorkerOrder) -> Worker:
    reader, writer = await asyncio.open_unix_connection(order.control, limit=2**20)
    try:
        writer.write(msgspec.json.encode({"do": "claim", "token": order.token}) + b"\n")
        async with asyncio.timeout(CLAIM_SECONDS):
            line = await reader.readline()
        message = _message(line)
        if message.get("event") == "exited":
            raise LaunchFailed(describe_exit(_exit_record(message.get("exit"))))
        if message.get("event") != "hello":
            raise LaunchFailed(f"The keeper of worker {order.worker_id} refused the claim: {line!r}")
        return Worker(order, msgspec.convert(message, Hello), reader, writer)
    except BaseException:  # also when cancelled: the line is given back
        writer.close()
        raise


async def _ask(socket: str, method: str, path: str) -> tuple[int, bytes]:
    """Status and body of an answer over a Unix socket. HTTP/1.0, so that the answer ends with the connection."""
    reader, writer = await asyncio.open_unix_connection(socket)
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


def _health(status: int, body: bytes) -> Health:
    try:
        return msgspec.json.decode(body, type=Health)
    except (msgspec.DecodeError, msgspec.ValidationError):
        # A server binary's own health page: only its status counts.
        return Health(state="ready" if status == 200 else "loading")


def describe_exit(record: ExitRecord) -> str:
    """One sentence for people: how a worker ended."""
    causes = {
        "stopped": "It was stopped.",
        "lease": "Its lease ran out: no server renewed it.",
        "unclaimed": "No server claimed it.",
    }
    if record.failure:
        return record.failure.message
    if record.cause in causes:
        return causes[record.cause]
    how = f"was ended by {record.signal}" if record.signal else f"ended by itself with status {record.code}"
    tail = [line for line in record.log_tail if line.strip()][-3:]
    return f"The worker {how}." + (f" It last said: {' | '.join(tail)}" if tail else "")
