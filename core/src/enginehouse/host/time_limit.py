"""A time limit for foreign code that runs in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The call is still running; its thread is left behind, a daemon."""


def within(seconds: float, call: Callable[[], T], name: str) -> T:
    """What `call` returns, or what it raises (SystemExit included), or TookTooLong after `seconds`."""
    outcome: list[tuple[bool, object]] = []

    def run() -> None:
        try:
            outcome.append((True, call()))
        except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, even SystemExit
            outcome.append((False, error))

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TookTooLong(f"still running after {seconds:g} s")
    fine, value = outcome[0]
    if not fine:
        raise value  # type: ignore[misc]
    return value  # type: ignore[return-value]


class Steps:
    """What the time limit of a call in a line counts from."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def next(self) -> None:
        """Another step begins, with a time of its own."""
        self.began = time.monotonic()


def each_within(seconds: float, calls: Sequence[Callable[[Steps], T]]) -> list[T | TookTooLong]:
    """What each call returns, one after the other; TookTooLong for one of which a step took longer than `seconds`.

    All run on one thread, for threads that hand over to each other at each call would take longer than the calls. After
    one that hangs another thread goes on with the rest. A call may not raise.
    """
    outcomes: list[T | TookTooLong] = []
    while len(outcomes) < len(calls):
        line = _Line(calls[len(outcomes) :])
        outcomes += line.wait(seconds)
    return outcomes


class _Line(Generic[T]):
    def __init__(self, calls: Sequence[Callable[[Steps], T]]) -> None:
        self._calls = calls
        self._steps = Steps()
        self._outcomes: list[T | TookTooLong] = []
        self._lock = threading.Lock()
        self._left = False
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="foreign code", daemon=True).start()

    def wait(self, seconds: float) -> list[T | TookTooLong]:
        """Outcomes of all, or of those up to one that hangs."""
        while not self._ended.wait(max(0.0, self._steps.began + seconds - time.monotonic())):
            with self._lock:
                if time.monotonic() - self._steps.began >= seconds and not self._ended.is_set():
                    self._left = True
                    return [*self._outcomes, TookTooLong(f"still running after {seconds:g} s")]
        return self._outcomes

    def _run(self) -> None:
        for call in self._calls:
            self._steps.next()
            outcome = call(self._steps)
            with self._lock:
                if self._left:
                    return
                self._outcomes.append(outcome)
                self._steps.next()
        self._ended.set()
