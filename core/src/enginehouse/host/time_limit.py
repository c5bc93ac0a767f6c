"""A time limit for foreign code that runs in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

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
