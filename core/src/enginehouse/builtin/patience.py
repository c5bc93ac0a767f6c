"""Patience with a hub: again after what may pass, an explained error for the rest. For the downloading processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ..sdk import EnginehouseError
from .downloading import name_error, say

ATTEMPTS = 5  # without one new byte between them
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between attempts, doubled each time
LONGEST_WISH = 300.0  # a hub that asks for more patience than this is asked again by whoever launches

T = TypeVar("T")


class Complaint(NamedTuple):
    """What a hub's library raised, read. status: HTTP's, None when nothing was answered; wish: seconds the hub asks
    to wait; final: the same would happen again."""

    status: int | None
    wish: float | None = None
    final: bool = False


class Manners(NamedTuple):
    """How one hub's library complains, and what that means to somebody who wanted to launch a model."""

    read: Callable[[Exception], Complaint]
    explain: Callable[[Exception], EnginehouseError]


def patiently(work: Callable[[], T], manners: Manners, done: Callable[[], int]) -> T:
    """What `work` returns. done: bytes so far; attempts are counted anew whenever it grew. Raises EnginehouseError."""
    attempt, before = 0, done()
    while True:
        try:
            return work()
        except EnginehouseError:
            raise
        except Exception as error:  # a hub's library may raise anything; its manners say what it means
            attempt, before = (attempt + 1, before) if done() == before else (1, done())
            pause = pause_after(manners.read(error), attempt)
            if pause is None:
                raise manners.explain(error) from error
            say("waiting", seconds=pause, why=name_error(error))
            time.sleep(pause)


def pause_after(complaint: Complaint, attempt: int) -> float | None:
    """Seconds until the next attempt; None when there shall be none."""
    status = complaint.status
    passing = status is None or status in (408, 429) or status >= 500
    if complaint.final or not passing or attempt >= ATTEMPTS:
        return None
    pause = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
    pause = pause if complaint.wish is None else complaint.wish
    return pause if pause <= LONGEST_WISH else None
