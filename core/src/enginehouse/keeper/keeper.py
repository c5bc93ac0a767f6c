"""One worker's life in its keeper's hands: started, held, stopped, reported."""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH108, PTH118

from __future__ import annotations

import contextlib
import os
import signal
import time

from .control import Command, Control
from .lease import Lease
from .log import Lines, LogFile
from .loop import READ, Loop
from .order import Order
from .process import Child, Ending, NotStarted, start_child
from .record import make_failure, read_failure, write_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOG_FILE = "worker.log"
READ_BYTES = 65_536  # the size of a pipe
LAST_WORDS_SECONDS = 0.5  # for output still in the pipe; a process that fled the group may hold it open for ever
FLUSH_SECONDS = 1.0  # for claimed peers to take the exit record; they can read exit.json instead


class Keeper:
    """Keeps one worker from start to exit record. `run` in the loop given; it ends the loop."""

    def __init__(self, order: Order, loop: Loop) -> None:
        self._order = order
        self._loop = loop
        self._cause: str | None = None
        self._child: Child | None = None
        self._ending: Ending | None = None
        self._record: dict[str, Any] | None = None
        self._started_at = 0.0
        self._kill_at = float("inf")
        self._output_ended = False
        self._is_parting = False
        self._is_dismissed = False  # whether somebody who may has told it to go
        self._lines = Lines()
        self._log = LogFile(os.path.join(order.folder, LOG_FILE), order.log_bytes)
        self._lease = Lease(order.claim_seconds, order.lease_seconds, time.monotonic())
        self._control = Control(loop, order.control, order.token, self._obey)

    def start(self) -> None:
        """Starts the worker; a command that cannot be run ends in an exit record like any other end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.on_signal(number, lambda: self._stop("stopped", None))
        self._loop.on_signal(signal.SIGCHLD, self._child_changed)
        self._await_lease()
        try:
            self._child = start_child(self._order.argv, self._order.environment)
        except NotStarted as error:
            self._end("not started", make_failure("not_started", error))
            return
        self._started_at = time.time()
        self._loop.watch(self._child.output, READ, self._take_output)

    def _obey(self, command: Command) -> dict[str, Any] | None:
        if self._record is not None:
            self._loop.at("lease", 0.0, self._part)
            return None
        if command.do == "stop":
            self._stop("stopped", command.grace)
            return None
        self._lease.renew(time.monotonic())
        self._await_lease()
        return self._hello() if command.do == "claim" else None

    def _hello(self) -> dict[str, Any]:
        return {
            "event": "hello",
            "worker_id": self._order.worker_id,
            "keeper_pid": os.getpid(),
            "worker_pid": self._child.pid if self._child else 0,
            "started_at": self._started_at,
        }

    def _await_lease(self) -> None:
        self._loop.at("lease", self._lease.deadline, lambda: self._stop(self._lease.cause, None))

    def _stop(self, cause: str, grace: float | None) -> None:
        """SIGTERM now, SIGKILL after the grace. Asked again, only an earlier SIGKILL counts."""
        self._is_dismissed = True
        if self._record is not None:
            self._part()
        if self._child is None or self._ending is not None:
            return
        seconds = self._order.drain_seconds if grace is None else grace
        if self._cause is None:
            self._cause = cause
            self._child.signal_group(signal.SIGTERM)
        self._kill_at = min(self._kill_at, time.monotonic() + seconds)
        self._loop.at("kill", self._kill_at, self._kill)

    def _kill(self) -> None:
        if self._child and self._ending is None:
            self._child.signal_group(signal.SIGKILL)

    def _child_changed(self) -> None:
        if self._child is None or self._ending is not None:
            return
        self._ending = self._child.reap()
        if self._ending is not None:
            self._loop.at("kill", None, self._kill)
            wait = 0.0 if self._output_ended else LAST_WORDS_SECONDS
            self._loop.at("last words", time.monotonic() + wait, self._finish)

    def _take_output(self, events: int) -> None:
        assert self._child is not None
        try:
            chunk = os.read(self._child.output, READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._log.write(self._lines.feed(chunk))
            return
        self._loop.unwatch(self._child.output)
        self._output_ended = True
        if self._ending is not None:
            self._loop.at("last words", 0.0, self._finish)

    def _finish(self) -> None:
        """The worker is gone and its output read."""
        if self._child is not None:
            self._loop.unwatch(self._child.output)
        self._log.close()
        self._end(self._cause or "exited", read_failure(self._order.folder))

    def _end(self, cause: str, failure: dict[str, str] | None) -> None:
        """Reports the end; before the first claim it stays to tell who claims, as long as one may."""
        self._record = {
            "cause": cause,
            "code": self._ending.code if self._ending else None,
            "signal": self._ending.signal if self._ending else None,
            "failure": failure,
            "log_tail": self._lines.tail(),
            "at": time.time(),
        }
        write_record(self._order.folder, self._record)
        with contextlib.suppress(OSError):
            os.unlink(self._order.socket)
        if self._lease.was_claimed or self._is_dismissed:
            self._part()
        else:
            self._loop.at("lease", self._lease.deadline, self._part)

    def _part(self) -> None:
        """Tells every claimed peer, and ends once they have it."""
        if self._is_parting:
            return
        self._is_parting = True
        self._control.close()
        self._control.tell_all({"event": "exited", "exit": self._record})
        self._loop.at("end", time.monotonic() + FLUSH_SECONDS, self._loop.end)
        self._control.when_flushed(self._loop.end)
