"""One thread that waits for files, signals and the nearest deadline, and never polls."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LONGEST_WAIT = 3600.0  # epoll counts milliseconds in an int; an hour is far from its end
SIGNAL_BYTES = 512  # more signals than this between two turns are the same signals again


class Loop:
    """Calls back, in the thread that runs it: on ready files, on signals, at named times (time.monotonic())."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._times: dict[str, tuple[float, Callable[[], None]]] = {}
        self._signals: dict[int, Callable[[], None]] = {}
        self._running = True
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.watch(self._wake_read, READ, self._take_signals)

    def run(self) -> None:
        """Runs until end() is called. Files come before times, so that a renewal that waits is seen in time."""
        while self._running:
            for key, events in self._selector.select(self._wait()):
                key.data(events)
            for due in self._due():
                due()

    def end(self) -> None:
        """Lets run() return after this turn."""
        self._running = False

    def watch(self, fd: int, events: int, call: Callable[[int], None]) -> None:
        """Calls `call(events)` whenever the file is ready; a second watch of the same file replaces the first."""
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, call)
        else:
            self._selector.register(fd, events, call)

    def unwatch(self, fd: int) -> None:
        """Forgets the file, if it is known. Must come before it is closed."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        """Calls `call()` in a later turn after the signal came."""
        self._signals[number] = call
        signal.signal(number, _note)  # the number travels through the wake-up pipe

    def at(self, name: str, when: float | None, call: Callable[[], None]) -> None:
        """Calls `call()` once `when` has come; replaces an earlier time of that name, None removes it."""
        if when is None:
            self._times.pop(name, None)
        else:
            self._times[name] = (when, call)

    def _wait(self) -> float:
        nearest = min((when for when, _ in self._times.values()), default=float("inf"))
        return min(max(0.0, nearest - time.monotonic()), LONGEST_WAIT)

    def _due(self) -> list[Callable[[], None]]:
        now = time.monotonic()
        due = [name for name, (when, _) in self._times.items() if when <= now]
        return [self._times.pop(name)[1] for name in due]

    def _take_signals(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in set(os.read(self._wake_read, SIGNAL_BYTES)):
                if number in self._signals:
                    self._signals[number]()


def _note(number: int, frame: object) -> None:
    """A handler must exist for the wake-up pipe to be written; it has nothing to do."""
