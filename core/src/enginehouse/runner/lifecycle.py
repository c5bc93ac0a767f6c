"""A worker's life: listen at once, load, serve, drain, leave."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvicorn

from ..sdk import EngineFailed, Failure, WorkerOrder
from .application import Application
from .hosting import Hosting, failure_of

try:
    import httptools  # noqa: F401 - only asks whether it is there
except ImportError:
    HTTP = "h11"
else:
    HTTP = "httptools"

KEEP_ALIVE_SECONDS = 3600  # the gateway's pool decides when to close; a private socket has no strangers to shake off
CLOSE_SECONDS = 10.0  # an engine that does not close by then is left to the operating system
CANCEL_SECONDS = 5.0  # requests that outlived the drain get so long to tell their clients
STOP_SECONDS = 2  # idle connections get so long to close

_log = logging.getLogger(__name__)


class WorkerServer(uvicorn.Server):
    """Uvicorn, but when to leave is ours to say: draining is more than closing connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def leave(self) -> None:
        self._told.set()

    async def main_loop(self) -> None:
        """Instead of uvicorn's, which looks ten times a second whether a signal came."""
        await self._told.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(path: str) -> socket.socket:
    """A listening Unix socket at `path` that only its owner can open (0600)."""
    remove(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    return listener


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


async def live(order: WorkerOrder, folder: Path) -> int:
    """Serves `order` until told to leave. Returns the exit status: 0 after a drain, 1 when loading failed or the engine
    asked for the end."""
    if order.runner is None:
        raise EngineFailed("The order holds no `runner`: it is not for a Python engine.")
    hosting = Hosting(order, order.runner)
    application = Application(order.model_uid, order.runner, hosting)
    server = _server(application)
    serving = asyncio.create_task(server.serve(sockets=[listen(order.socket)]))
    leaving = asyncio.create_task(_told_to_leave())
    loading = asyncio.create_task(hosting.load())
    try:
        await asyncio.wait((loading, leaving, serving), return_when=asyncio.FIRST_COMPLETED)
        if loading.done() and (error := loading.exception()):
            write_failure(folder, error)
            return 1
        await asyncio.wait((leaving, serving, hosting.resigned), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            raise EngineFailed("The worker stopped listening on its socket.") from serving.exception()
        resigns = hosting.resigned.done()
        if resigns:
            _keep_failure(folder, Failure(code=EngineFailed.code, message=hosting.resigned.result()))
        await _drain(order, application, hosting)
        return 1 if resigns else 0
    finally:
        server.leave()
        await asyncio.wait((serving,), timeout=2 * STOP_SECONDS)
        remove(order.socket)


def write_failure(folder: Path, error: BaseException) -> Failure:
    """Leaves failure.json for the host, and the traceback in the log."""
    failure = failure_of(error)
    _log.error("Loading failed: %s\n%s", failure.message, failure.detail)
    _keep_failure(folder, failure)
    return failure


def _keep_failure(folder: Path, failure: Failure) -> None:
    part = folder / "failure.json.part"
    part.write_bytes(msgspec.json.encode(failure))
    part.replace(folder / "failure.json")


def _server(application: Application) -> WorkerServer:
    config = uvicorn.Config(
        application,
        http=HTTP,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return WorkerServer(config)


async def _told_to_leave() -> None:
    """Returns on SIGTERM, SIGINT, or end-of-file on a stdin that is a pipe: then the keeper has died."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if _is_pipe(stdin := sys.stdin.fileno() if sys.stdin else -1):
        os.set_blocking(stdin, False)
        loop.add_reader(stdin, _watch, stdin, told)
    await told.wait()


def _is_pipe(descriptor: int) -> bool:
    if descriptor < 0:
        return False
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _watch(stdin: int, told: asyncio.Event) -> None:
    try:
        if os.read(stdin, 4096):
            return
    except BlockingIOError:
        return
    except OSError:
        _log.warning("Reading stdin failed; leaving as if it had ended.", exc_info=True)
    asyncio.get_running_loop().remove_reader(stdin)
    told.set()


async def _drain(order: WorkerOrder, application: Application, hosting: Hosting) -> None:
    """No new requests; the running ones may end within order.drain_seconds; then the engine closes."""
    hosting.state = "draining"
    _log.info("Draining: %d requests in flight.", application.metrics.in_flight)
    if not await _emptied(application, order.drain_seconds):
        _log.warning("%d requests outlived the drain; cancelling them.", application.metrics.in_flight)
        for answering in tuple(application.answering):
            answering.cancel()
        await _emptied(application, CANCEL_SECONDS)
    try:
        await asyncio.wait_for(hosting.close(), CLOSE_SECONDS)
    except TimeoutError:
        _log.warning("The engine did not close in %g s; leaving anyway.", CLOSE_SECONDS)


async def _emptied(application: Application, seconds: float) -> bool:
    try:
        await asyncio.wait_for(application.idle.wait(), seconds)
    except TimeoutError:
        return False
    return True
