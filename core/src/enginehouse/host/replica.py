"""One replica's life: start a worker, wait until it is ready, hold it, start it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ..sdk import EnginehouseError, FetchProgress, Health, LaunchFailed, Step, WorkerOrder
from .clusters import Clusters
from .environments.carriers import with_carried
from .environments.needs import KeptLock
from .environments.provider import Grant, Wish, provide_environment
from .environments.telling import share_of, tell_made, tell_step
from .loads import Attempt, Loads, Subject
from .orders import Assignment, Workshop, prepare_worker, remove_worker
from .planning import Plan
from .plugins import PluginCensus
from .routing import Replica
from .settings import Settings
from .views import Event, ReplicaView, Status
from .weights import fetch_weights
from .worker import Worker, start_worker

STEADY_SECONDS = 60.0  # a worker that was ready for so long did not fail for the reason of the one before
LONGEST_PAUSE = 60.0  # between restarts: long enough to cost nothing, short enough to come back soon
DOWNLOAD_SHARE = 0.8  # of the progress shown, as clients know it
BUILD_SHARE = 0.1  # of an environment, where one is built; what is left is for the load
FIRST_KNOCK, LAST_KNOCK = 0.02, 0.1  # seconds between looks at a loading worker, growing

logger = logging.getLogger(__name__)


class GaveUp(Exception):
    """This replica will not be started again; the text is the reason."""


class Overslept(Exception):
    """A worker that slept, or was to sleep or wake, is gone; the text is the reason. Nothing is wrong with the replica:
    it begins anew when it is wanted."""


class Surroundings(msgspec.Struct, frozen=True):
    """What a replica needs from its deployment. changed: called after each change of the replica;
    loads: where it counts how long a start took. kept: the lock that the deployment runs with; keep: called with the
    lock that it runs with from now on."""

    census: PluginCensus
    clusters: Clusters
    settings: Settings
    loading: asyncio.Semaphore
    note: Callable[[Event], None]
    changed: Callable[[], None]
    loads: Loads
    kept: Callable[[], KeptLock | None]
    keep: Callable[[KeptLock], None]


class ReplicaLife:
    """Written by its own task alone; read by views and the routing table."""

    def __init__(self, assignment: Assignment, surroundings: Surroundings, was_ready: bool) -> None:
        self.assignment = assignment
        self.was_ready = was_ready
        self.leaving = False  # when ended now, let the worker run on
        self.status: Status = "CREATING"
        self.worker: Worker | None = None
        self.route: Replica | None = None
        self.restarts = 0
        self.error: str | None = None
        self.can_sleep = False
        self.shall_sleep = False
        self.sleeps = False
        self._turned = asyncio.Event()
        self._used = time.monotonic()
        self.progress, self.stage = 0.0, "pending"
        self.context_length: int | None = None
        self.downloads: dict[str, FetchProgress] = {}
        self._fetched = DOWNLOAD_SHARE  # the progress at which loading begins
        self._around = surroundings
        self._former: WorkerOrder | None = None  # of the last worker that was ready

    async def run(self, adopted: Worker | None = None) -> None:
        """Keeps a worker up until cancelled. Raises GaveUp or Overslept; always ends (or leaves) its worker."""
        failures = 0
        try:
            while True:
                began = time.monotonic()
                reason = await self._one_life(adopted)
                adopted = None
                failures = 1 if time.monotonic() - began > STEADY_SECONDS else failures + 1
                await self._pause(failures, reason)
        finally:
            await self._part()

    @property
    def used(self) -> float:
        """When its last request ended, in monotonic seconds."""
        return self.route.used if self.route else self._used

    def lie_down(self) -> None:
        """It shall sleep: no new request reaches it from now on. Only while it is ready and can."""
        self._used, self.route = self.used, None
        self.shall_sleep = True
        self._turned.set()
        self._at("ASLEEP", "falling asleep", 1.0)

    def get_up(self) -> None:
        """It shall be awake. Only while it sleeps."""
        self.shall_sleep = False
        self._turned.set()
        self._at("LOADING", "waking", 0.0)

    def view(self) -> ReplicaView:
        worker = self.worker
        return ReplicaView(
            replica_id=self.assignment.replica_id,
            worker_id=worker.order.worker_id if worker else None,
            status=self.status,
            pid=worker.pid if worker else None,
            address=worker.address if worker else None,
            node=self.assignment.plan.site.node,
            restarts=self.restarts,
            progress=self.progress,
            stage=self.stage,
            started_ts=worker.started_at if worker else None,
            error=self.error,
            downloads=tuple(self.downloads.values()),
            devices=self.assignment.plan.devices_of(self.assignment.replica_id),
        )

    async def _one_life(self, adopted: Worker | None) -> str:
        """From start to death of one worker; why it died. Raises GaveUp when it never was ready at all."""
        try:
            worker, health = await (self._take_up(adopted) if adopted else self._bring_up())
        except (EnginehouseError, OSError) as error:
            if not self.was_ready:
                raise GaveUp(str(error)) from error
            return str(error)
        self.was_ready, self.error, self.can_sleep, self._former = True, None, health.can_sleep, worker.order
        if health.state == "asleep":
            self.sleeps = self.shall_sleep = True
            self._at("ASLEEP", "asleep", 1.0)
        else:
            self._be_ready(worker, "adopted" if adopted else "ready")
        return await self._hold(worker)

    async def _hold(self, worker: Worker) -> str:
        """Until the worker dies; why it did. It sleeps and wakes as its deployment wants. Raises Overslept."""
        while True:
            turned = asyncio.create_task(self._turned.wait())
            either: set[asyncio.Future[Any]] = {worker.ended, turned}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                turned.cancel()
            self._turned.clear()
            try:
                if worker.ended.done():
                    reason = worker.ended.result().tell()
                    if not self.sleeps and not self.shall_sleep:
                        return reason
                    raise Overslept(reason)
                await self._turn(worker)
            except Overslept:
                self._at("RESTARTING", "pending", 0.0)
                await self._bury()
                raise

    async def _turn(self, worker: Worker) -> None:
        """To sleep, or awake; when it was to be the other meanwhile, that comes next."""
        to_sleep = self.shall_sleep
        if to_sleep == self.sleeps:
            return
        try:
            await (worker.sleep() if to_sleep else worker.wake())
        except EnginehouseError as error:
            raise Overslept(error.message) from error
        self.sleeps = to_sleep
        if to_sleep:
            self._note("INFO", f"Replica {self.assignment.replica_id} sleeps, {worker.where}.")
            self._at("ASLEEP", "asleep", 1.0)
        else:
            self._be_ready(worker, "awake")

    async def _take_up(self, adopted: Worker) -> tuple[Worker, Health]:
        self.worker = adopted
        return adopted, await self._until_ready(adopted)

    async def _bring_up(self) -> tuple[Worker, Health]:
        self._at("LOADING", "launching", 0.0)
        async with self._around.loading:
            with self._around.loads.attempt(self._subject()) as attempt:
                self.worker = await self._start(attempt)
                self._at("LOADING", "loading", self._fetched)
                with attempt.phase("load"):
                    health = await self._until_ready(self.worker)
            return self.worker, health

    def _subject(self) -> Subject:
        assignment = self.assignment
        return Subject(assignment.model_uid, assignment.replica_id, assignment.plan.engine, self.restarts)

    async def _start(self, attempt: Attempt) -> Worker:
        plan = self.assignment.plan
        contributions, settings = self._around.census.contributions, self._around.settings
        with attempt.phase("weights"):
            weights = await fetch_weights(plan.source, contributions, settings.home, self._downloading)
        with attempt.phase("environment"):
            granted = await self._provide(plan)
        workshop = Workshop(weights=weights, environment=granted.environment, former=self._former)
        order = prepare_worker(self.assignment, workshop, contributions, settings)
        try:
            with attempt.phase("start"):
                return await start_worker(order, plan.site, self._around.clusters, settings.launch_seconds)
        except BaseException:  # also when cancelled: no folder stays without a worker
            remove_worker(order)
            raise

    async def _provide(self, plan: Plan) -> Grant:
        around, assignment = self._around, self.assignment
        wish = Wish(
            need=with_carried(plan.environment, plan, around.census),
            asked_by=assignment.model_uid,
            since=assignment.created_ts,
            kept=around.kept(),
        )
        self._fetched = DOWNLOAD_SHARE
        granted = await provide_environment(wish, around.census.contributions, around.settings, self._building)
        if granted.kept:
            around.keep(granted.kept)
        if granted.made:
            self._note("INFO", tell_made(granted.made))
        return granted

    async def _until_ready(self, worker: Worker) -> Health:
        """Or asleep, as one may be that a former server left."""
        deadline = time.monotonic() + self._around.settings.launch_seconds
        pause = FIRST_KNOCK
        while not worker.ended.done():
            health = await worker.health()
            if health and health.state in ("ready", "asleep"):
                self.context_length = health.context_length
                return health
            if health:
                share = self._fetched + (1 - self._fetched) * health.progress
                self._at("LOADING", health.stage or "loading", share)
            if time.monotonic() > deadline:
                seconds = self._around.settings.launch_seconds
                raise LaunchFailed(f"It was not ready after {seconds:g} s (ENGINEHOUSE_LAUNCH_SECONDS).")
            await asyncio.wait({worker.ended}, timeout=pause)
            pause = min(pause * 1.25, LAST_KNOCK)
        raise LaunchFailed(worker.ended.result().tell())

    def _be_ready(self, worker: Worker, how: str) -> None:
        self.route = Replica(worker.order.worker_id, self.assignment.replica_id, worker.address)
        self._note("INFO", f"Replica {self.assignment.replica_id} is {how}, {worker.where}.")
        self._at("READY", "ready", 1.0)

    async def _pause(self, failures: int, reason: str) -> None:
        """Takes the dead worker off the table and waits before the next; raises GaveUp after too many."""
        settings = self._around.settings
        self.error, self.route = reason, None
        self._at("RESTARTING", "pending", 0.0)
        await self._bury()
        if failures > settings.restart_limit:
            raise GaveUp(f"It failed {failures} times in a row. The last time: {reason}")
        self.restarts += 1
        seconds = min(settings.restart_seconds * 2 ** (failures - 1), LONGEST_PAUSE)
        self._note("WARNING", f"Replica {self.assignment.replica_id} died: {reason} Starting again in {seconds:g} s.")
        await asyncio.sleep(seconds)

    async def _bury(self) -> None:
        worker, self.worker = self.worker, None
        if worker:
            if not worker.ended.done():
                await worker.stop(0)
            remove_worker(worker.order)

    async def _part(self) -> None:
        """The end of this life: take it off the table, then drain and stop the worker, or leave it to a successor."""
        self.route = None
        worker, self.worker = self.worker, None
        if worker and self.leaving and not worker.ended.done():
            return await worker.leave()
        self._around.changed()
        if worker:
            with contextlib.suppress(OSError):
                await worker.stop(self._around.settings.drain_seconds)
            remove_worker(worker.order)

    def _downloading(self, progress: FetchProgress) -> None:
        self.downloads[progress.file] = progress
        done = sum(one.done_bytes for one in self.downloads.values())
        total = sum(one.total_bytes or one.done_bytes for one in self.downloads.values())
        self._at("LOADING", "downloading", DOWNLOAD_SHARE * done / total if total else 0.0)

    def _building(self, step: Step) -> None:
        self._fetched = DOWNLOAD_SHARE + BUILD_SHARE
        self._at("LOADING", tell_step(step), DOWNLOAD_SHARE + BUILD_SHARE * share_of(step))

    def _at(self, status: Status, stage: str, progress: float) -> None:
        self.status, self.stage, self.progress = status, stage, progress
        self._around.changed()

    def _note(self, kind: str, text: str) -> None:
        logger.log(logging.INFO if kind == "INFO" else logging.WARNING, "%s: %s", self.assignment.model_uid, text)
        self._around.note(Event(ts=time.time(), kind=kind, text=text))  # type: ignore[arg-type]
