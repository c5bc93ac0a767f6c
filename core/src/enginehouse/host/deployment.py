"""A deployment: what somebody declared, and the replicas that make it so. One writer: its own task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..sdk import Cancelled, EnginehouseError, LaunchFailed
from .orders import Assignment
from .planning import Plan
from .plugins import PluginCensus
from .replica import GaveUp, ReplicaLife, Surroundings
from .routing import Route, RoutingTable
from .settings import Settings
from .store import EVENTS_KEPT, Declared, StateUnavailable, Store
from .views import DeploymentView, Event, Status
from .worker import Worker

logger = logging.getLogger(__name__)


class Ground(msgspec.Struct, frozen=True):
    """What all deployments stand on. plan: from a declared request to a Plan, raising EnginehouseError."""

    settings: Settings
    census: PluginCensus
    store: Store
    routing: RoutingTable
    loading: asyncio.Semaphore
    plan: Callable[[Any], Awaitable[Plan]]


class Deployment:
    """Reconciles one declared model with its replicas until it is stopped."""

    def __init__(self, declared: Declared, ground: Ground, plan: Plan | None = None) -> None:
        self.uid = declared.uid
        self.plan = plan
        self.error = declared.error
        self.kept_events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._declared = declared
        self._ground = ground
        self._lives: dict[int, tuple[ReplicaLife, asyncio.Task[None]]] = {}
        self._settled = asyncio.Event()  # ready, failed or stopped: what a waiting caller wants to know
        self._stopping = False
        self._notes: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self, adopted: dict[int, Worker] | None = None) -> None:
        """Begins to make it so, with workers that are already there."""
        self._publish()
        self._task = asyncio.create_task(self._run(adopted or {}), name=f"deployment {self.uid}")

    def rest(self) -> None:
        """For one that failed for good before: it is shown with its reason, and nothing is started."""
        self._publish()
        self._settled.set()

    async def stop(self, leave: bool = False) -> None:
        """Ends every replica, draining it; `leave` lets the workers run on for a later server."""
        again, self._stopping = self._stopping, True
        for life, _ in self._lives.values():
            life.leaving = leave
        if self._task:
            if not again:  # a second cancel would cut the draining short
                self._task.cancel()
            await asyncio.wait({self._task})
        self._ground.routing.drop(self.uid)
        self._settled.set()
        if self._notes:
            await asyncio.wait(self._notes)

    async def until_settled(self) -> None:
        """Returns when ready. Raises LaunchFailed with the reason, or Cancelled when it was stopped before."""
        await self._settled.wait()
        if self._stopping:
            raise Cancelled(f"The launch of {self.uid!r} was cancelled.")
        if self.status == "ERROR":
            raise LaunchFailed(f"{self.uid!r} could not be launched: {self.error}")

    @property
    def launching(self) -> bool:
        """Whether it has yet to become ready for the first time."""
        return not self._settled.is_set()

    @property
    def failed(self) -> bool:
        return self.status == "ERROR"

    @property
    def status(self) -> Status:
        if self._stopping:
            return "TERMINATING"
        statuses: list[Status] = [life.status for life, _ in self._lives.values()]
        for status in ("READY", "LOADING", "RESTARTING", "CREATING"):
            if status in statuses and not (status == "READY" and self.launching):
                return status
        return "ERROR" if self.error and not statuses else "LOADING"

    def view(self) -> DeploymentView:
        lives = [life for life, _ in self._lives.values()]
        plan = self.plan
        return DeploymentView(
            model_uid=self.uid,
            model_type=self._declared.request.model_type if plan is None else plan.family.model_type,
            status=self.status,
            model_engine=plan.engine if plan else self._declared.request.model_engine or "",
            reason=plan.reason if plan else "",
            tasks=plan.tasks if plan else (),
            replicas=tuple(life.view() for life in lives),
            created_ts=self._declared.created_ts,
            facts=self._facts(),
            devices=plan.devices if plan else (),
            error=self.error or next((life.error for life in lives if life.error), None),
            progress=min((life.progress for life in lives), default=0.0),
            stage=min(lives, key=lambda life: life.progress).stage if lives else "pending",
        )

    def note(self, event: Event) -> None:
        """Keeps an event, here at once and in the database soon."""
        self.kept_events.append(event)
        task = asyncio.create_task(self._ground.store.note(self.uid, event))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _run(self, adopted: dict[int, Worker]) -> None:
        try:
            if self.plan is None:
                self.plan = await self._ground.plan(self._declared.request)
                self._publish()
            self._begin_lives(self.plan, adopted)
            await self._attend()
        except EnginehouseError as error:
            await self._fail(error.message)
        except Exception as error:
            logger.exception("deployment %s broke", self.uid)  # a fault of ours: shown, not swallowed, not spread
            await self._fail(f"{type(error).__name__}: {error}")
        finally:
            await self._end_lives()

    def _begin_lives(self, plan: Plan, adopted: dict[int, Worker]) -> None:
        around = Surroundings(
            self._ground.census, self._ground.settings, self._ground.loading, self.note, self._on_change
        )
        for replica_id in range(plan.request.replica):
            assignment = Assignment(
                model_uid=self.uid, replica_id=replica_id, created_ts=self._declared.created_ts, plan=plan
            )
            life = ReplicaLife(assignment, around, self._declared.was_ready)
            task = asyncio.create_task(life.run(adopted.get(replica_id)), name=f"{self.uid} replica {replica_id}")
            self._lives[replica_id] = life, task

    async def _attend(self) -> None:
        """Waits for replicas that give up. The first launch fails with its first replica; later, others serve on."""
        while self._lives:
            tasks = {task: replica_id for replica_id, (_, task) in self._lives.items()}
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._lives.pop(tasks[task])
                reason = _reason(task)
                self.note(Event(ts=time.time(), kind="ERROR", text=f"Replica {tasks[task]} gave up: {reason}"))
                if not self._declared.was_ready or not self._lives:
                    return await self._fail(reason)
            self._publish()

    async def _fail(self, reason: str) -> None:
        self.error = reason
        logger.error("%s failed: %s", self.uid, reason)
        await self._end_lives()
        failed = msgspec.structs.replace(self._declared, error=reason)
        if not self._declared.was_ready:
            failed = msgspec.structs.replace(failed, desired="failed")
        await self._save(failed)
        self._publish()
        self._settled.set()

    async def _end_lives(self) -> None:
        tasks = [task for _, task in self._lives.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._lives.clear()

    def _on_change(self) -> None:
        """After each change of a replica: the routing table first, then whoever waits."""
        self._publish()
        ready = [life for life, _ in self._lives.values() if life.status == "READY"]
        if self.plan and len(ready) == self.plan.request.replica and not self._settled.is_set():
            self._settled.set()
            if not self._declared.was_ready:
                task = asyncio.create_task(self._save(msgspec.structs.replace(self._declared, was_ready=True)))
                self._notes.add(task)
                task.add_done_callback(self._notes.discard)

    async def _save(self, declared: Declared) -> None:
        self._declared = declared
        with contextlib.suppress(StateUnavailable):  # logged by SQLAlchemy's caller; what runs, runs on
            await self._ground.store.declare(declared)

    def _publish(self) -> None:
        routes = tuple(life.route for life, _ in self._lives.values() if life.route)
        restarting = self._declared.was_ready and self._settled.is_set()
        self._ground.routing.put(
            Route(
                model_uid=self.uid,
                tasks=self.plan.tasks if self.plan else (),
                replicas=routes,
                waiting="is starting again after its worker died" if restarting else "is still loading",
                failure=self.error if self.failed else None,
            )
        )

    def _facts(self) -> dict[str, Any]:
        """What the model type reports, in its order."""
        if self.plan is None:
            return {"model_name": self._declared.request.model_name}
        kind = self._ground.census.contributions.model_type(self.plan.family.model_type)
        facts = _all_facts(self.plan)
        lengths = [life.context_length for life, _ in self._lives.values() if life.context_length]
        facts["context_length"] = min(lengths, default=self.plan.family.context_length)
        return {name: facts.get(name) for name in (kind.reports if kind else facts)}


def _all_facts(plan: Plan) -> dict[str, Any]:
    family, variant = plan.family, plan.variant
    return {
        "model_name": family.name,
        "model_lang": list(family.languages),
        "model_ability": list(family.abilities),
        "model_description": family.description,
        "model_format": variant.format,
        "model_size_in_billions": variant.size_in_billions,
        "model_family": family.name,
        "quantization": variant.quantization,
        "model_hub": plan.source.partition(":")[0],
        "revision": None,
    }


def _reason(task: asyncio.Task[None]) -> str:
    error = None if task.cancelled() else task.exception()
    if error is None or isinstance(error, GaveUp):
        return str(error or "It was stopped.")
    logger.error("a replica's task broke", exc_info=error)
    return f"{type(error).__name__}: {error}"
