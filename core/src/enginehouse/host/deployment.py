"""A deployment: what somebody declared, and the replicas that make it so. One writer: its own task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from ..sdk import BadRequest, Cancelled, EnginehouseError, LaunchFailed
from ..sdk.credentials import hide_credentials
from .amending import amend
from .amendment import Amendment
from .environments.needs import KeptLock
from .ground import Ground
from .idleness import Idleness
from .launch_request import LaunchRequest
from .ledger import Holding
from .loads import Loads
from .orders import Assignment, remove_worker
from .placement import Place, request_at
from .planning import Plan
from .portrait import Sitter, portray
from .publishing import publish, take_stock
from .relaunching import relaunch
from .renewal import renew
from .replica import Surroundings
from .rooms import NoRoom, takes_of
from .scaling import Scaling, let_go_of_the_unwanted
from .standing import Standing
from .store import Declared
from .views import DeploymentView, Event, Status
from .worker import Worker

logger = logging.getLogger(__name__)


class Deployment:
    """Reconciles one declared model with its replicas until it is stopped.

    What others ask for (a replica more or less) they write into what is declared and wake the task; it alone
    begins and ends replicas.
    """

    def __init__(self, declared: Declared, ground: Ground, plan: Plan | None = None) -> None:
        self.uid = declared.uid
        self.loads = Loads()
        self._ground = ground
        self._standing = Standing(declared, ground, plan)
        self._idleness = Idleness(self._standing)
        self._scaling = Scaling(self._standing)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to make it so."""
        self._begin_task({})

    def resume(self, adopted: dict[int, Worker]) -> None:
        """Begins again after a restart of the server, with workers that still run.

        What may be unloaded and does not run is not loaded before somebody asks for it.
        """
        self._standing.error = None
        self._standing.loaded = bool(adopted) or not self.request.may_unload
        self._begin_task(adopted)

    def _begin_task(self, adopted: dict[int, Worker]) -> None:
        publish(self._standing)
        self._ground.rooms.join(self.uid, self._idleness)
        self._task = asyncio.create_task(self._run(adopted), name=f"deployment {self.uid}")

    def rest(self) -> None:
        """For one that failed for good before: it is shown with its reason, and nothing is started."""
        publish(self._standing)
        self._standing.settled.set()

    def recall(self, events: list[Event]) -> None:
        """Takes up what happened to it before the server was started."""
        self._standing.diary.recall(events)

    async def stop(self, leave: bool = False) -> None:
        """Ends every replica, draining it; `leave` lets the workers run on for a later server."""
        again, self._standing.stopping = self._standing.stopping, True
        if leave:
            self._standing.leaving = True
            self._standing.crew.leave()
        if self._task:
            if not again:  # a second cancel would cut the draining short
                self._task.cancel()
            await asyncio.wait({self._task})
        self._standing.closed = True
        self._ground.routing.drop(self.uid)
        self._ground.rooms.leave(self.uid)
        self._standing.settled.set()
        self._idleness.refuse()
        await self._standing.diary.close()

    async def forget(self) -> None:
        """It shall not come back after a restart. Raises StateUnavailable."""
        await self._standing.declaration.forget()

    async def until_settled(self) -> None:
        """Returns when ready. Raises LaunchFailed with the reason, or Cancelled when it was stopped before."""
        await self._standing.settled.wait()
        if self._standing.stopping:
            raise Cancelled(f"The launch of {self.uid!r} was cancelled.")
        if self.failed:
            raise LaunchFailed(f"{self.uid!r} could not be launched: {self._standing.error}")

    async def add_replica(self, place: Place) -> int:
        """As `Scaling.add`."""
        return await self._scaling.add(place)

    async def until_added(self, replica_id: int) -> None:
        """Returns when an added replica answers. Raises LaunchFailed (then it is not declared any more), Cancelled."""
        await self._standing.added.wait(replica_id)

    async def remove_replica(self, replica_id: int) -> int:
        """As `Scaling.remove`."""
        return await self._scaling.remove(replica_id)

    async def amend(self, amendment: Amendment) -> tuple[int, ...]:
        """As `amending.amend`."""
        return await amend(self._standing, amendment)

    async def renew(self, why: str) -> None:
        """As `renewal.renew`."""
        await renew(self._standing, self._around, why)

    async def logs(self, replica_id: int, lines: int) -> tuple[str, ...]:
        """The last lines that a replica's worker printed. Raises BadRequest when it has none."""
        worker = self._standing.crew.worker(replica_id)
        if worker is None:
            raise BadRequest(
                f"Replica {replica_id} of {self.uid!r} has no worker now; why is in the model's events.",
                param="replica_id",
            )
        return await worker.logs(lines)

    async def relaunch(self, request: LaunchRequest) -> None:
        """As `relaunching.relaunch`."""
        await relaunch(self._standing, self._around, request)

    def plans(self) -> list[Plan]:
        """How it is run: as a whole, and each replica, which may differ while it is renewed."""
        replicas = [life.assignment.plan for life in self._standing.crew.replicas]
        return [self._standing.plan, *replicas] if self._standing.plan else replicas

    def parting(self) -> list[Plan]:
        """Plans of workers that are ending their requests."""
        return self._standing.crew.parting_plans()

    @property
    def request(self) -> LaunchRequest:
        """What is declared, with as many replicas as it was last scaled to."""
        return self._standing.declared.request

    @property
    def launching(self) -> bool:
        """Whether it has yet to become ready for the first time."""
        return self._standing.launching

    @property
    def failed(self) -> bool:
        return self._standing.failed

    @property
    def status(self) -> Status:
        return self._standing.status

    @property
    def events(self) -> list[Event]:
        return self._standing.diary.events

    def holding(self) -> Holding | None:
        """What it holds of each memory, as estimated; None when it is not loaded."""
        return self._idleness.holding()

    def view(self) -> DeploymentView:
        now = self._standing
        sitter = Sitter(now.declared, now.plan, now.status, now.error, now.crew.replicas)
        return portray(sitter, self._ground.census.contributions)

    async def _run(self, left: dict[int, Worker]) -> None:
        standing, adopted = self._standing, dict(left)
        try:
            if standing.plan is None:
                standing.plan = await self._ground.plan(self.request)
                publish(standing)
            if adopted and await _all_asleep(adopted.values()):
                standing.loaded = False
            while True:
                await self._reconcile(adopted)
                if not standing.loaded:
                    standing.settled.set()
                    publish(standing)
                await self._attend()
        except EnginehouseError as error:
            await self._fail(error.message)
        except Exception as error:
            logger.exception("deployment %s broke", self.uid)  # a fault of ours: shown, not swallowed, not spread
            await self._fail(f"{type(error).__name__}: {error}")
        finally:
            self._idleness.refuse()
            await standing.crew.end()
            await self._let_go(adopted)
            standing.added.break_all(f"Model {self.uid!r} was ended.")

    async def _reconcile(self, adopted: dict[int, Worker]) -> None:
        """Replicas that are declared and missing begin; those that are there and not declared are let go."""
        standing = self._standing
        let_go_of_the_unwanted(standing)
        if standing.loaded:
            await self._idleness.rouse()
        starts_anew = standing.loaded and not standing.crew and not adopted and standing.was_ready
        if starts_anew and standing.plan and standing.plan.devices and not await self._plan_anew():
            return
        for place in standing.declared.places:
            missing = place.replica_id not in standing.crew and place.replica_id not in standing.given_up
            if missing and (standing.loaded or place.replica_id in adopted):
                await self._take_place(place, adopted)
        await self._let_go(adopted)

    async def _plan_anew(self) -> bool:
        """Other devices may be free by now. Where that cannot be told, who asked for the model hears it, and the next
        request may find it out; what runs always is begun as it was. Whether to go on."""
        standing = self._standing
        try:
            standing.plan = await self._ground.plan(self.request)
        except EnginehouseError as error:
            if self.request.may_unload:
                self._refuse(error)
                return False
            standing.diary.tell("WARNING", f"It is begun as it was before, since planning failed: {error.message}")
        return True

    async def _let_go(self, adopted: dict[int, Worker]) -> None:
        """Of workers that a former server left and that found no place: ended, or left again."""
        for replica_id, worker in list(adopted.items()):
            if self._standing.leaving:
                await worker.leave()
            else:
                await worker.stop(self._ground.settings.drain_seconds)
                remove_worker(worker.order)
            del adopted[replica_id]  # until here they are whoever's who ends this task

    async def _take_place(self, place: Place, adopted: dict[int, Worker]) -> None:
        """Begins a replica, if it can be planned and there is room. Raises NoRoom for a model never launched."""
        assert self._standing.plan is not None
        plan = self._standing.plan
        if place.pinned:
            try:
                plan = await self._ground.plan(request_at(self.request, place))
            except EnginehouseError as error:  # its device is gone, most likely: the others are well
                demanded = self.request.may_unload and self._standing.was_ready and not self._standing.crew
                if demanded and not adopted and place.replica_id not in self._standing.added:
                    return self._refuse(error)
                return await self._lost(place.replica_id, error.message)
        if place.replica_id in adopted or await self._has_room(plan, place):
            self._begin(plan, place, adopted.pop(place.replica_id, None))

    async def _has_room(self, plan: Plan, place: Place) -> bool:
        """Whether a replica may begin, after idle models made room for it."""
        takes = takes_of(plan, plan.devices_of(place.replica_id), self._standing.declared.footprint_bytes)
        try:
            await self._ground.rooms.admit(self.uid, takes)
        except NoRoom as error:
            return await self._without_room(place, error)
        return True

    async def _without_room(self, place: Place, error: NoRoom) -> bool:
        standing = self._standing
        if place.replica_id in standing.added:
            await self._lost(place.replica_id, error.message)
            return False
        if standing.crew and self.request.may_unload:
            standing.given_up.add(place.replica_id)  # until it is unloaded and loaded again
            standing.diary.tell("WARNING", error.message)
            return False
        if self.request.may_unload:  # the next request may find room
            self._refuse(error)
            return False
        if not standing.was_ready:
            raise error
        standing.diary.tell(
            "WARNING", f"{error.message} It was declared and ran before, so it is started all the same."
        )
        return True

    def _refuse(self, error: EnginehouseError) -> None:
        """Who asked for the model is told so; it stays unloaded until the next asks."""
        standing = self._standing
        standing.loaded, standing.refused = False, error
        standing.diary.tell("WARNING", error.message)

    def _begin(self, plan: Plan, place: Place, adopted: Worker | None) -> None:
        standing = self._standing
        assignment = Assignment(
            model_uid=self.uid, replica_id=place.replica_id, created_ts=standing.declared.created_ts, plan=plan
        )
        was_ready = standing.was_ready and place.replica_id not in standing.added
        standing.crew.begin(assignment, self._around(self._on_change), adopted, was_ready)

    def _around(self, changed: Callable[[], None]) -> Surroundings:
        """What a replica lives in. changed: called after each of its changes."""
        ground, standing = self._ground, self._standing
        return Surroundings(
            census=ground.census,
            clusters=ground.clusters,
            settings=ground.settings,
            loading=ground.loading,
            note=standing.diary.note,
            changed=changed,
            loads=self.loads,
            kept=lambda: standing.declared.environment,
            keep=self._keep_lock,
        )

    async def _attend(self) -> None:
        """Waits until there is something to do: a replica gave up, what is declared has changed, or it lay idle."""
        standing = self._standing
        woken = asyncio.create_task(standing.woken.wait())
        try:
            until = {woken, *standing.crew.tasks}
            await asyncio.wait(until, timeout=self._idleness.due(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        standing.woken.clear()
        await self._idleness.attend()
        gone = [task for task in standing.crew.tasks if task.done()]
        for task in gone:
            loss = standing.crew.bury(task)
            if loss.slept:
                standing.diary.tell("WARNING", f"Replica {loss.replica_id} slept and is gone: {loss.reason}")
            else:
                await self._lost(loss.replica_id, loss.reason)
        if gone:
            take_stock(standing)  # with those that are left it may be complete
        else:
            publish(standing)

    async def _lost(self, replica_id: int, reason: str) -> None:
        """A replica gave up. The first launch fails with its first replica; later, the others serve on."""
        standing = self._standing
        standing.diary.tell("ERROR", f"Replica {replica_id} gave up: {reason}")
        if replica_id in standing.added:
            return await self._scaling.disown(replica_id, reason)
        standing.given_up.add(replica_id)
        if not standing.was_ready or not standing.crew:
            raise LaunchFailed(reason)

    async def _fail(self, reason: str) -> None:
        standing, reason = self._standing, hide_credentials(reason)
        standing.error, standing.loaded = reason, True  # down, which is something else than unloaded
        logger.error("%s failed: %s", self.uid, reason)
        await standing.crew.end()
        self._ground.rooms.settle(self.uid)
        desired = standing.declared.desired if standing.was_ready else "failed"
        await standing.declaration.note(error=reason, desired=desired)
        publish(standing)
        standing.settled.set()

    def _keep_lock(self, kept: KeptLock) -> None:
        standing = self._standing
        if standing.declared.environment != kept:
            standing.diary.soon(standing.declaration.note(environment=kept))

    def _on_change(self) -> None:
        take_stock(self._standing)


async def _all_asleep(workers: Collection[Worker]) -> bool:
    """Whether they lay asleep when a former server left them: then nobody has asked for them yet."""
    told = await asyncio.gather(*(worker.health() for worker in workers))
    return all(health is not None and health.state == "asleep" for health in told)
