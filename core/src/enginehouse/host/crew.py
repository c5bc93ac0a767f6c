"""The replicas of one deployment: begun, and let go without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import NamedTuple

from .orders import Assignment
from .planning import Plan
from .replica import GaveUp, Overslept, ReplicaLife, Surroundings
from .routing import Replica
from .views import Status
from .worker import Worker

DRAINED_LOOK = 0.05  # seconds between looks at a replica whose requests end; they take seconds, and nobody waits

logger = logging.getLogger(__name__)


class Life(NamedTuple):
    """A replica's life and the task that lives it."""

    replica: ReplicaLife
    task: asyncio.Task[None]


class Loss(NamedTuple):
    """A replica that ended by itself. slept: its worker did, so that another begins when it is wanted."""

    replica_id: int
    reason: str
    slept: bool


class Crew:
    """Replicas by id. parting: those that are out of the routing table and whose requests are ending.

    An understudy is a second worker of a replica, not yet in the routing table, that shall take the first one's place.
    """

    def __init__(self) -> None:
        self._lives: dict[int, Life] = {}
        self._parting: dict[asyncio.Task[None], Life] = {}
        self._understudies: set[Life] = set()

    def __len__(self) -> int:
        return len(self._lives)

    def __contains__(self, replica_id: int) -> bool:
        return replica_id in self._lives

    @property
    def ids(self) -> set[int]:
        return set(self._lives)

    @property
    def parting(self) -> Collection[int]:
        return {life.replica.assignment.replica_id for life in self._parting.values()}

    def parting_plans(self) -> list[Plan]:
        return [life.replica.assignment.plan for life in self._parting.values()]

    def worker(self, replica_id: int) -> Worker | None:
        """A replica's worker, as long as it has one."""
        life = self._lives.get(replica_id)
        return life.replica.worker if life else None

    @property
    def replicas(self) -> list[ReplicaLife]:
        return [self._lives[replica_id].replica for replica_id in sorted(self._lives)]

    @property
    def tasks(self) -> dict[asyncio.Task[None], int]:
        return {life.task: replica_id for replica_id, life in self._lives.items()}

    def with_status(self, status: Status) -> set[int]:
        return {number for number, life in self._lives.items() if life.replica.status == status}

    def routes(self) -> tuple[Replica, ...]:
        return tuple(life.route for life in self.replicas if life.route)

    def begin(self, assignment: Assignment, around: Surroundings, adopted: Worker | None, was_ready: bool) -> None:
        """Begins a replica's life, with a worker that is already there or a new one."""
        self._lives[assignment.replica_id] = _begin(assignment, around, adopted, was_ready)

    def rehearse(self, assignment: Assignment, around: Surroundings) -> Life:
        """Begins an understudy; it gives up at its first failure."""
        life = _begin(assignment, around, None, was_ready=False)
        self._understudies.add(life)
        return life

    def promote(self, understudy: Life, seconds: float) -> None:
        """The understudy takes its replica's place; the worker that had it parts as in `retire`."""
        replica_id = understudy.replica.assignment.replica_id
        self._understudies.discard(understudy)
        if replica_id in self._lives:
            self.retire(replica_id, seconds)
        self._lives[replica_id] = understudy

    async def dismiss(self, understudy: Life) -> None:
        """Ends an understudy; returns when its process is gone."""
        self._understudies.discard(understudy)
        understudy.task.cancel()
        await asyncio.wait({understudy.task})

    def bury(self, task: asyncio.Task[None]) -> Loss:
        """Strikes off a life that ended by itself."""
        replica_id = self.tasks[task]
        del self._lives[replica_id]
        error = None if task.cancelled() else task.exception()
        return Loss(replica_id, _reason(task), isinstance(error, Overslept))

    def retire(self, replica_id: int, seconds: float) -> asyncio.Task[None]:
        """Takes a replica off the routing table; its worker ends when its requests have, or after `seconds`.

        The caller publishes routes before it waits for anything. The task is done when the process is gone.
        """
        life = self._lives.pop(replica_id)
        task = asyncio.create_task(_let_go(life, seconds), name=f"{life.task.get_name()} parting")
        self._parting[task] = life
        task.add_done_callback(lambda _: self._parting.pop(task, None))
        return task

    def leave(self) -> None:
        """From now on ending a replica lets its worker run on."""
        for life in self._lives.values():
            life.replica.leaving = True

    async def end(self) -> None:
        """Ends all; returns when their processes are gone, or left to a successor."""
        parting = dict(self._parting)
        for letting_go in parting:
            letting_go.cancel()
        lives = [*self._lives.values(), *parting.values(), *self._understudies]
        for life in lives:
            if not life.task.cancelling():  # one that is ending already would be cut short
                life.task.cancel()
        if lives:
            await asyncio.wait({*(life.task for life in lives), *parting})
        self._lives.clear()


def _begin(assignment: Assignment, around: Surroundings, adopted: Worker | None, was_ready: bool) -> Life:
    replica = ReplicaLife(assignment, around, was_ready)
    name = f"{assignment.model_uid} replica {assignment.replica_id}"
    return Life(replica, asyncio.create_task(replica.run(adopted), name=name))


async def _let_go(life: Life, seconds: float) -> None:
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while life.replica.route and life.replica.route.in_flight:  # noqa: ASYNC110 - see DRAINED_LOOK
                    await asyncio.sleep(DRAINED_LOOK)
    finally:
        life.task.cancel()
        await asyncio.wait({life.task})


def _reason(task: asyncio.Task[None]) -> str:
    error = None if task.cancelled() else task.exception()
    if error is None or isinstance(error, GaveUp | Overslept):
        return str(error or "It was stopped.")
    logger.error("a replica's task broke", exc_info=error)
    return f"{type(error).__name__}: {error}"
