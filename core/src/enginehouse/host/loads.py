"""How loads go: counted for each deployment as long as it is declared, and told whole to whoever listens."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

BOUNDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)  # seconds: a small model to a download

Outcome = Literal["ready", "failed", "cancelled"]
OUTCOMES: tuple[Outcome, ...] = ("ready", "failed", "cancelled")


class Phase(NamedTuple):
    """A part of a load: plan, weights, environment, start or load. Times in seconds since 1970."""

    name: str
    began: float
    ended: float


class Subject(NamedTuple):
    """What is loaded. restarts: how often the replica was started again before."""

    model_uid: str
    replica_id: int
    engine: str
    restarts: int


class Load(NamedTuple):
    """One load that is over. error: why it failed. Times in seconds since 1970."""

    subject: Subject
    outcome: Outcome
    error: str | None
    phases: tuple[Phase, ...]
    began: float
    ended: float


class Attempt:
    """A load that is under way."""

    def __init__(self, phases: list[Phase]) -> None:
        self._phases = phases

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times what is within, also when it fails."""
        began = time.time()
        try:
            yield
        finally:
            self._phases.append(Phase(name, began, time.time()))


class Loads:
    """Replicas that were started; adopted ones were not loaded. buckets: those that became ready, by BOUNDS.

    planned: how long the launch was planned, told with its first load. tell: is given each load that is over.
    """

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.planned: Phase | None = None
        self.tell: Callable[[Load], None] = _tell_nobody

    @contextmanager
    def attempt(self, subject: Subject) -> Iterator[Attempt]:
        """One load, from its start until it is ready, or what is within raises."""
        began, clock = time.time(), time.monotonic()
        phases = [self.planned] if self.planned else []
        self.planned = None
        outcome: Outcome = "ready"
        error: str | None = None
        try:
            yield Attempt(phases)
            self._count(time.monotonic() - clock)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as failure:  # it is counted and raised again
            outcome, error = "failed", str(failure)
            raise
        finally:
            first = phases[0].began if phases else began
            self.tell(Load(subject, outcome, error, tuple(phases), min(first, began), time.time()))

    def _count(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


def _tell_nobody(load: Load) -> None:
    pass
