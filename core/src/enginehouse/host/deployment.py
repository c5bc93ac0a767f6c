"""A deployment: what somebody declared, and the replicas that make it so. One writer: its own task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import Literal, NamedTuple

import msgspec

from ..sdk import BadRequest, Cancelled, Conflict, EnginehouseError, LaunchFailed, NotReady
from .crew import Crew
from .declaration import Declaration
from .diary import Diary
from .ground import Ground
from .launch_request import LaunchRequest
from .ledger import Holding
from .loads import Loads
from .orders import Assignment
from .placement import Place, free_id, request_at
from .planning import Plan
from .portrait import Sitter, portray
from .promises import Promises
from .replica import Surroundings
from .rooms import NoRoom, measure, takes_of
from .routing import RETRY_AFTER_SECONDS, Route
from .store import Declared, StateUnavailable
from .turns import turns_for
from .views import DeploymentView, Status
from .worker import Worker

EVICTION_SECONDS = 15.0  # beyond the drain, for processes to be killed and reaped
BUSY_LOOK = 0.5  # seconds at least between looks whether a busy model has become idle

logger = logging.getLogger(__name__)


class Eviction(NamedTuple):
    """A wish that a deployment makes room. gone: whether it did."""

    why: str
    gone: asyncio.Future[bool]


class Deployment:
    """Reconciles one declared model with its replicas until it is stopped.

    What others ask for (a replica more or less) they write into what is declared and wake the task; it alone
    begins and ends replicas.
    """

    def __init__(self, declared: Declared, ground: Ground, plan: Plan | None = None) -> None:
        self.uid = declared.uid
        self.plan = plan
        self.error = declared.error
        self.loads = Loads()
        self.diary = Diary(declared.uid, ground.store)
        self._declaration = Declaration(declared, ground.store)
        self._ground = ground
        self._crew = Crew()
        self._turns = turns_for(declared.request, ground.settings)
        self._loaded = not declared.request.on_demand  # whether it shall be in memory
        self._refused: EnginehouseError | None = None  # why it could not be loaded when it was last asked for
        self._eviction: Eviction | None = None
        self._given_up: set[int] = set()
        self._added = Promises()  # replicas that were added and have yet to be ready
        self._was_ready = declared.was_ready
        self._scaling = asyncio.Lock()
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()  # ready, failed or stopped: what a waiting caller wants to know
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def _declared(self) -> Declared:
        return self._declaration.value

    def start(self) -> None:
        """Begins to make it so."""
        self._begin_task({})

    def resume(self, adopted: dict[int, Worker]) -> None:
        """Begins again after a restart of the server, with workers that still run.

        What may be unloaded and does not run is not loaded before somebody asks for it.
        """
        self._loaded = bool(adopted) or not self._declared.request.may_unload
        self._begin_task(adopted)

    def _begin_task(self, adopted: dict[int, Worker]) -> None:
        self._publish()
        self._ground.rooms.join(self.uid, self)
        self._task = asyncio.create_task(self._run(adopted), name=f"deployment {self.uid}")

    def rest(self) -> None:
        """For one that failed for good before: it is shown with its reason, and nothing is started."""
        self._publish()
        self._settled.set()

    async def stop(self, leave: bool = False) -> None:
        """Ends every replica, draining it; `leave` lets the workers run on for a later server."""
        again, self._stopping = self._stopping, True
        if leave:
            self._crew.leave()
        if self._task:
            if not again:  # a second cancel would cut the draining short
                self._task.cancel()
            await asyncio.wait({self._task})
        self._ground.routing.drop(self.uid)
        self._ground.rooms.leave(self.uid)
        self._settled.set()
        if self._eviction and not self._eviction.gone.done():
            self._eviction.gone.set_result(False)
        await self.diary.close()

    async def forget(self) -> None:
        """It shall not come back after a restart. Raises StateUnavailable."""
        await self._declaration.forget()

    async def until_settled(self) -> None:
        """Returns when ready. Raises LaunchFailed with the reason, or Cancelled when it was stopped before."""
        await self._settled.wait()
        if self._stopping:
            raise Cancelled(f"The launch of {self.uid!r} was cancelled.")
        if self.status == "ERROR":
            raise LaunchFailed(f"{self.uid!r} could not be launched: {self.error}")

    async def add_replica(self, place: Place) -> int:
        """Declares one replica more; its id, at once. Raises what planning raises, StateUnavailable, and as below."""
        self._check_scalable()
        await self._ground.plan(request_at(self._declared.request, place))  # refused before it is declared
        async with self._scaling:
            self._check_scalable()
            replica_id = free_id(self._declared.places, self._crew.ids | set(self._crew.parting))
            place = msgspec.structs.replace(place, replica_id=replica_id)
            await self._declaration.scale_to((*self._declared.places, place))
            if self._loaded:
                self._added.make(replica_id)
        self.diary.tell("INFO", f"Scaled up: replica {replica_id} is added.")
        self._woken.set()
        return replica_id

    def demand(self) -> None:
        """A request came: it is loaded, unless that has begun."""
        if not self._loaded and not self._stopping:
            self._loaded = True
            self.diary.tell("INFO", "Loading, because a request came.")
            self._woken.set()

    async def until_added(self, replica_id: int) -> None:
        """Returns when an added replica answers. Raises LaunchFailed (then it is not declared any more), Cancelled."""
        await self._added.wait(replica_id)

    async def remove_replica(self, replica_id: int) -> int:
        """Declares one replica less; how many are left. 0 means it is the only one: then nothing was done.

        Returns when no new request can reach it; what it is answering may end first. Raises BadRequest for a
        replica that is not there, Conflict or NotReady while there is nothing to scale.
        """
        async with self._scaling:
            places = {place.replica_id: place for place in self._declared.places}
            if replica_id not in places:
                have = ", ".join(map(str, sorted(places)))
                raise BadRequest(f"Model {self.uid!r} has no replica {replica_id}; it has {have}.", param="replica_id")
            del places[replica_id]
            if not places:
                return 0
            self._check_scalable()
            await self._declaration.scale_to(tuple(places.values()))
            self._given_up.discard(replica_id)
        self.diary.tell("INFO", f"Scaled down: replica {replica_id} ends when its requests have.")
        self._let_go_of_the_unwanted()
        self._woken.set()
        return len(places)

    def holding(self) -> Holding | None:
        """What it holds of each memory, as estimated; None when it is not loaded."""
        routes = self._crew.routes()
        if not self._crew:
            return None
        takes: Counter[str] = Counter()
        for life in self._crew.replicas:
            plan, replica_id = life.assignment.plan, life.assignment.replica_id
            takes.update(takes_of(plan, plan.devices_of(replica_id), self._declared.footprint_bytes).wished)
        return Holding(self.uid, takes, max((route.used for route in routes), default=time.monotonic()), self._state())

    def workers(self) -> list[int]:
        """Process groups of its replicas."""
        return [life.worker.hello.worker_pid for life in self._crew.replicas if life.worker]

    async def evict(self, why: str) -> bool:
        """Unloads it, to make room for another, unless somebody has begun to use it; whether it is gone."""
        gone = asyncio.get_running_loop().create_future()
        self._eviction = Eviction(why, gone)
        self._woken.set()
        bound = self._ground.settings.drain_seconds + EVICTION_SECONDS
        done, _ = await asyncio.wait({gone}, timeout=bound)
        return bool(done and gone.result())

    def _state(self) -> Literal["idle", "in use", "pinned", "loading"]:
        places = self._declaration.wanted - self._given_up
        if self._declared.request.keep_alive is None:
            return "pinned"
        if not self._loaded or len(self._crew.routes()) < len(self._crew) or places != self._crew.ids:
            return "loading"
        return "in use" if self.in_use else "idle"

    @property
    def in_use(self) -> bool:
        """Whether requests are answered, or wait for it."""
        return self._ground.routing.awaited(self.uid) or any(route.in_flight for route in self._crew.routes())

    @property
    def request(self) -> LaunchRequest:
        """What is declared, with as many replicas as it was last scaled to."""
        return self._declared.request

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
        if not self._loaded:
            return "UNLOADED"
        statuses: list[Status] = [life.status for life in self._crew.replicas]
        for status in ("READY", "LOADING", "RESTARTING", "CREATING"):
            if status in statuses and not (status == "READY" and self.launching):
                return status
        return "ERROR" if self.error and not statuses else "LOADING"

    def view(self) -> DeploymentView:
        sitter = Sitter(self._declared, self.plan, self.status, self.error, self._crew.replicas)
        return portray(sitter, self._ground.census.contributions)

    async def _run(self, adopted: dict[int, Worker]) -> None:
        try:
            if self.plan is None:
                self.plan = await self._ground.plan(self._declared.request)
                self._publish()
            while True:
                await self._reconcile(adopted)
                adopted = {}
                if not self._loaded:
                    self._settled.set()
                    self._publish()
                await self._attend()
        except EnginehouseError as error:
            await self._fail(error.message)
        except Exception as error:
            logger.exception("deployment %s broke", self.uid)  # a fault of ours: shown, not swallowed, not spread
            await self._fail(f"{type(error).__name__}: {error}")
        finally:
            await self._crew.end()
            self._added.break_all(f"Model {self.uid!r} was ended.")

    async def _reconcile(self, adopted: dict[int, Worker]) -> None:
        """Replicas that are declared and missing begin; those that are there and not declared are let go."""
        self._let_go_of_the_unwanted()
        if self._loaded and not self._crew and not adopted and self._was_ready and self.plan and self.plan.devices:
            self.plan = await self._ground.plan(self._declared.request)  # other devices may be free by now
        for place in self._declared.places:
            missing = place.replica_id not in self._crew and place.replica_id not in self._given_up
            if self._loaded and missing:
                await self._take_place(place, adopted.get(place.replica_id))

    async def _take_place(self, place: Place, adopted: Worker | None) -> None:
        """Begins a replica, if it can be planned and there is room. Raises NoRoom for a model never launched."""
        assert self.plan is not None
        plan = self.plan
        if place.pinned:
            try:
                plan = await self._ground.plan(request_at(self._declared.request, place))
            except EnginehouseError as error:  # its device is gone, most likely: the others are well
                return await self._lost(place.replica_id, error.message)
        if adopted or await self._has_room(plan, place):
            self._begin(plan, place, adopted)

    async def _has_room(self, plan: Plan, place: Place) -> bool:
        """Whether a replica may begin, after idle models made room for it."""
        takes = takes_of(plan, plan.devices_of(place.replica_id), self._declared.footprint_bytes)
        try:
            await self._ground.rooms.admit(self.uid, takes)
        except NoRoom as error:
            return await self._without_room(place, error)
        return True

    async def _without_room(self, place: Place, error: NoRoom) -> bool:
        if place.replica_id in self._added:
            await self._lost(place.replica_id, error.message)
            return False
        if self._crew and self._declared.request.may_unload:
            self._given_up.add(place.replica_id)  # until it is unloaded and loaded again
            self.diary.tell("WARNING", error.message)
            return False
        if self._declared.request.may_unload:  # the next request may find room
            self._loaded, self._refused = False, error
            self.diary.tell("WARNING", error.message)
            return False
        if not self._was_ready:
            raise error
        self.diary.tell("WARNING", f"{error.message} It was declared and ran before, so it is started all the same.")
        return True

    def _begin(self, plan: Plan, place: Place, adopted: Worker | None) -> None:
        assignment = Assignment(
            model_uid=self.uid, replica_id=place.replica_id, created_ts=self._declared.created_ts, plan=plan
        )
        ground = self._ground
        around = Surroundings(
            ground.census, ground.settings, ground.loading, self.diary.note, self._on_change, self.loads
        )
        was_ready = self._was_ready and place.replica_id not in self._added
        self._crew.begin(assignment, around, adopted, was_ready)

    def _let_go_of_the_unwanted(self) -> None:
        """Out of the routing table first, in the same breath; then they drain and end."""
        unwanted = self._crew.ids - self._declaration.wanted
        for replica_id in unwanted:
            self._crew.retire(replica_id, self._ground.settings.retire_seconds)
            self._added.withdraw(replica_id)
        if unwanted:
            self._on_change()

    async def _attend(self) -> None:
        """Waits until there is something to do: a replica gave up, what is declared has changed, or it lay idle."""
        woken = asyncio.create_task(self._woken.wait())
        try:
            until = {woken, *self._crew.tasks}
            await asyncio.wait(until, timeout=self._idle_in(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        self._woken.clear()
        if self._idle_in() == 0:
            await self._measure()
            if self._idle_in() == 0:  # nobody came meanwhile
                await self._unload(f"Unloaded after {self._declared.request.keep_alive:g} s without a request.")
        if self._eviction:
            await self._give_way(self._eviction)
        for task in [task for task in self._crew.tasks if task.done()]:
            await self._lost(*self._crew.bury(task))
        self._publish()

    def _idle_in(self) -> float | None:
        """Seconds until it may be unloaded, as it looks now; None when nothing is to be unloaded."""
        keep_alive = self._declared.request.keep_alive
        routes = self._crew.routes()
        if keep_alive is None or not self._loaded or not routes or len(routes) < len(self._crew):
            return None
        if self.in_use:
            return max(keep_alive, BUSY_LOOK)
        return max(0.0, max(route.used for route in routes) + keep_alive - time.monotonic())

    async def _give_way(self, eviction: Eviction) -> None:
        self._eviction = None
        if self._state() == "idle":
            await self._measure()
        gone = self._state() == "idle"  # still
        if gone:
            await self._unload(eviction.why)
        if not eviction.gone.done():
            eviction.gone.set_result(gone)

    async def _measure(self) -> None:
        """Remembers what one replica takes, for the next time that room is needed."""
        workers = self.workers()
        size = await measure(workers)
        if size:
            await self._declaration.note(footprint_bytes=size // len(workers))

    async def _unload(self, why: str) -> None:
        """Out of the routing table in the same breath; returns when its processes are gone."""
        self._loaded = False
        self._given_up.clear()
        self._ground.rooms.settle(self.uid)
        parting = [self._crew.retire(replica_id, 0) for replica_id in self._crew.ids]
        self._publish()
        self.diary.tell("INFO", why)
        await asyncio.wait(parting)

    async def _lost(self, replica_id: int, reason: str) -> None:
        """A replica gave up. The first launch fails with its first replica; later, the others serve on."""
        self.diary.tell("ERROR", f"Replica {replica_id} gave up: {reason}")
        if replica_id in self._added:
            return await self._disown(replica_id, reason)
        self._given_up.add(replica_id)
        if not self._was_ready or not self._crew:
            raise LaunchFailed(reason)

    async def _disown(self, replica_id: int, reason: str) -> None:
        """An added replica that did not come up: it is as if nobody had asked for it."""
        async with self._scaling:
            rest = tuple(place for place in self._declared.places if place.replica_id != replica_id)
            with contextlib.suppress(StateUnavailable):
                await self._declaration.scale_to(rest)
        self._added.break_(replica_id, f"Replica {replica_id} of {self.uid!r} did not come up: {reason}")

    async def _fail(self, reason: str) -> None:
        self.error, self._loaded = reason, True  # down, which is something else than unloaded
        logger.error("%s failed: %s", self.uid, reason)
        await self._crew.end()
        self._ground.rooms.settle(self.uid)
        await self._declaration.note(error=reason, desired=self._declared.desired if self._was_ready else "failed")
        self._publish()
        self._settled.set()

    def _on_change(self) -> None:
        """After each change of a replica: the routing table first, then whoever waits."""
        self._publish()
        ready = self._crew.with_status("READY")
        self._added.keep(ready)
        wanted = self._declaration.wanted - self._given_up
        if ready and ready >= wanted:
            self._settled.set()
            self._woken.set()  # from now on it may lie idle
            self._ground.rooms.settle(self.uid)
            if not self._was_ready:
                self._was_ready = True
                self.diary.soon(self._declaration.note(was_ready=True))

    def _publish(self) -> None:
        request, routes = self._declared.request, self._crew.routes()
        for replica in routes:
            replica.turns = self._turns
        route = Route(
            model_uid=self.uid,
            tasks=self.plan.tasks if self.plan else (),
            replicas=routes,
            waiting=self._waiting(),
            failure=self.error if self.failed else None,
            limit=request.request_limits,
            turns=self._turns,
            demand=self.demand if request.may_unload and not self._stopping else None,
            refused=self._refused,
        )
        self._ground.routing.put(route)

    def _waiting(self) -> str:
        """Why no replica is ready, when one will be."""
        if self._declared.request.may_unload:
            return "is being loaded for a request"
        restarting = self._was_ready and self._settled.is_set()
        return "is starting again after its worker died" if restarting else "is still loading"

    def _check_scalable(self) -> None:
        if self.failed:
            raise Conflict(f"Model {self.uid!r} is down: {self.error} Launch it again before scaling it.")
        if self.launching or self._stopping:
            raise NotReady(
                f"Model {self.uid!r} is {self.status.lower()}; scale it when it is ready.",
                retry_after=RETRY_AFTER_SECONDS,
            )
