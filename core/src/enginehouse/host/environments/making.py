"""The process that makes an environment, seen from the server: started, listened to, ended with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec

from ...sdk import CannotRun, EnginehouseError, LaunchFailed, Lock, Step
from ...sdk.credentials import hide_credentials
from .errands import MAKER, Errand, Failed, Locked, Outcome, Said, Stepped, Success
from .holding import discard
from .shelf import Shelf

LINE_BYTES = 16 * 2**20  # a lock of a thousand packages is a line of a megabyte
END_SECONDS = 5.0  # a killed process is gone in milliseconds; a disk that hangs may hold it
LAST_WORDS = 20  # lines of a process that broke, for the error

_ERRORS: dict[str, type[EnginehouseError]] = {kind.code: kind for kind in (CannotRun, LaunchFailed)}


class CannotMake(LaunchFailed):
    """The environment cannot be made. lasting: it is remembered, so that nothing tries again by itself."""

    def __init__(self, message: str, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class Listener(msgspec.Struct, frozen=True):
    """Who is told while it goes on."""

    step: Callable[[Step], None]
    locked: Callable[[Lock], object]


async def run_errand(errand: Errand, listener: Listener) -> Success:
    """What came of it. Raises CannotMake. Cancelled, it leaves neither a process nor a file behind."""
    try:
        async with asyncio.timeout(errand.seconds), _process(errand) as process:
            outcome = await _listen(process, errand, listener)
    except TimeoutError:
        raise CannotMake(
            f"The environment of engine {errand.need.engine} was not made within {errand.seconds:g} s "
            "(ENGINEHOUSE_ENVIRONMENT_SECONDS), so that was ended. Packages that came are in the cache.",
            lasting=True,
        ) from None
    if isinstance(outcome, Failed):
        raise CannotMake(hide_credentials(outcome.message), outcome.lasting)
    return outcome


class _Process:
    """The process and its ears on the event loop."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self.popen = subprocess.Popen(
            [sys.executable, "-P", "-m", MAKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # its group is it and all it starts; Ctrl-C at the server is the server's to handle
        )
        self._ears: list[asyncio.BaseTransport] = []

    async def listen_to(self, stream: IO[bytes] | None) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        ear, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stream
        )
        self._ears.append(ear)
        return reader

    def send(self) -> None:
        """In a thread: a large lock fills the pipe until the process has started."""
        assert self.popen.stdin
        with contextlib.suppress(BrokenPipeError):  # it died at once; its end says how
            self.popen.stdin.write(msgspec.json.encode(self._errand) + b"\n")
            self.popen.stdin.flush()

    async def end(self) -> None:
        """Returns when it, all that it started and its files are gone."""
        for ear in self._ears:
            ear.close()
        # In a thread that ends by itself, so that a second cancel cannot cut it short.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._end))

    def _end(self) -> None:
        """Kills the group before its leader's number is given back, so that it cannot be another's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
            os.killpg(self.popen.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(END_SECONDS)
        with contextlib.suppress(OSError):
            assert self.popen.stdin
            self.popen.stdin.close()
        discard(Shelf(Path(self._errand.home)), self._errand.token)


@asynccontextmanager
async def _process(errand: Errand) -> AsyncIterator[_Process]:
    process = _Process(errand)
    try:
        yield process
    finally:
        await process.end()


async def _listen(process: _Process, errand: Errand, listener: Listener) -> Outcome:
    words: deque[str] = deque(maxlen=LAST_WORDS)
    hearing = asyncio.create_task(_hear(await process.listen_to(process.popen.stderr), words))
    try:
        lines = await process.listen_to(process.popen.stdout)
        await asyncio.to_thread(process.send)
        while line := await lines.readline():
            said: Said = msgspec.json.decode(line, type=Said)
            if isinstance(said, Stepped):
                listener.step(Step(phase=said.phase, package=said.package, done=said.done, total=said.total))
            elif isinstance(said, Locked):
                listener.locked(said.lock)
            else:
                return said
    finally:
        hearing.cancel()
    how = await asyncio.to_thread(_how_it_ended, process.popen)
    tail = f" It last said: {' | '.join(words)}" if words else ""
    return Failed(
        code=LaunchFailed.code,
        message=f"The process that made the environment of engine {errand.need.engine} {how}.{tail} Launch again.",
        lasting=False,
    )


async def _hear(reader: asyncio.StreamReader, words: deque[str]) -> None:
    while line := await reader.readline():
        words.append(line.decode(errors="replace").rstrip())


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """Without taking its exit status: `_end` still needs its number."""
    with contextlib.suppress(ChildProcessError, AttributeError):  # AttributeError: a system without waitid
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if found and found.si_code != os.CLD_EXITED:
            return f"was ended by {signal.Signals(found.si_status).name}"
        if found:
            return f"ended with status {found.si_status}"
    return "ended"
