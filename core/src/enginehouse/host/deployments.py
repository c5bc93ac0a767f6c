"""All deployments: declared, listed, ended. What is declared here comes back after a restart."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable

from ..sdk import BadRequest, Conflict, ModelNotFound
from .amendment import Amendment
from .deployment import Deployment
from .ground import Ground
from .hubs import default_uid
from .launch_request import LaunchRequest, check_uid
from .loads import Load, Outcome, Phase
from .observation import Observation
from .placement import Place
from .planning import Plan
from .rooms import takes_of_all
from .store import Declared
from .views import DeploymentView, Event
from .worker import Worker

ADOPTED_SECONDS = 2.0  # a ready worker answers /health in milliseconds; the server's start waits no longer


class Deployments:
    """The registry of deployments, by uid.

    load_counts: loads since the server's start, by engine and outcome, of models that are gone too.
    load_listeners: each is called with every load that is over; to be quick, and not to raise.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._deployments: dict[str, Deployment] = {}
        self.load_counts: Counter[tuple[str, Outcome]] = Counter()
        self.load_listeners: list[Callable[[Load], None]] = []
        self._declaring = asyncio.Lock()  # so that two launches cannot take one uid

    async def plan(self, request: LaunchRequest) -> Plan:
        """The plan of a launch, without side effects. Raises as `planning.make_plan`."""
        return await self._ground.plan(request)

    async def evicts(self, plan: Plan) -> tuple[str, ...]:
        """The uids that a launch of this plan would unload now, in order; none when even that makes no room."""
        return (await self._ground.rooms.foresee(takes_of_all(plan))).evict

    async def launch(self, request: LaunchRequest) -> str:
        """Declares a model and starts to bring it up; its uid, at once.

        Raises Conflict when the uid is taken, what planning raises, StateUnavailable when it could not be kept.
        """
        began = time.time()
        plan = await self._ground.plan(request)
        planned = Phase("plan", began, time.time())
        async with self._declaring:
            uid = self._free_uid(request)
            declared = Declared(uid=uid, request=request, created_ts=time.time())
            if uid in self._deployments:
                await self._end(uid)  # one that failed: this launch takes its place
            await self._ground.store.declare(declared)
            self._begin(declared, plan, planned)
        return uid

    async def wait_ready(self, uid: str) -> None:
        """Returns when the model is ready. Raises LaunchFailed, Cancelled, ModelNotFound."""
        await self._find(uid).until_settled()

    async def terminate(self, uid: str) -> None:
        """Ends a model for good; returns when its processes are gone. Raises ModelNotFound, StateUnavailable."""
        await self._find(uid).forget()
        await self._end(uid)

    async def cancel(self, uid: str) -> None:
        """Stops a launch that is not ready yet. Raises ModelNotFound, BadRequest when there is nothing to cancel."""
        if not self._find(uid).launching:
            raise BadRequest(f"Model {uid!r} is not being launched; to end it, terminate it.")
        await self.terminate(uid)

    async def add_replica(self, uid: str, place: Place) -> int:
        """Declares one replica more and starts to bring it up; its id, at once.

        Raises ModelNotFound, Conflict, NotReady, BadRequest, what planning raises, StateUnavailable.
        """
        return await self._find(uid).add_replica(place)

    async def wait_added(self, uid: str, replica_id: int) -> None:
        """Returns when an added replica is ready. Raises LaunchFailed, Cancelled, ModelNotFound."""
        await self._find(uid).until_added(replica_id)

    async def remove_replica(self, uid: str, replica_id: int) -> int:
        """Takes one replica away once its requests have ended; how many are left. The last one ends the model.

        Raises ModelNotFound, BadRequest for a replica that is not there, Conflict, NotReady, StateUnavailable.
        """
        left = await self._find(uid).remove_replica(replica_id)
        if not left:
            await self.terminate(uid)
        return left

    async def amend(self, uid: str, amendment: Amendment) -> tuple[int, ...]:
        """Changes what is declared, in place; the ids of replicas that were added, at once.

        Raises ModelNotFound, Conflict, NotReady, what planning raises for more replicas, StateUnavailable.
        """
        return await self._find(uid).amend(amendment)

    async def renew(self, uid: str, why: str) -> None:
        """Replaces its workers by new ones, without losing a request. Raises ModelNotFound, and as `renewal.renew`."""
        await self._find(uid).renew(why)

    async def relaunch(self, uid: str, request: LaunchRequest) -> None:
        """Gives it another launch, without losing a request. Raises ModelNotFound, and as `relaunching.relaunch`."""
        await self._find(uid).relaunch(request)

    def plans(self) -> dict[str, list[Plan]]:
        """How each is run, and each of its replicas, by uid."""
        return {uid: one.plans() for uid, one in self._deployments.items()}

    def all_plans(self) -> list[Plan]:
        """Those of workers that are ending, too."""
        return [plan for one in self._deployments.values() for plan in (*one.plans(), *one.parting())]

    def failed(self, uid: str) -> bool:
        """Whether it is down for good. Raises ModelNotFound."""
        return self._find(uid).failed

    def request(self, uid: str) -> LaunchRequest:
        """What is declared of one. Raises ModelNotFound."""
        return self._find(uid).request

    def view(self, uid: str) -> DeploymentView:
        return self._find(uid).view()

    def views(self) -> list[DeploymentView]:
        return [deployment.view() for deployment in self._deployments.values()]

    def observed(self) -> list[Observation]:
        """Each deployment as it is to be measured."""
        return [self._observe(deployment) for deployment in self._deployments.values()]

    def declared(self) -> list[tuple[DeploymentView, LaunchRequest]]:
        """Each deployment with what was asked for."""
        return [(deployment.view(), deployment.request) for deployment in self._deployments.values()]

    async def logs(self, uid: str, replica_id: int, lines: int) -> tuple[str, ...]:
        """The last lines that the worker of a replica printed. Raises ModelNotFound, BadRequest when it has none."""
        return await self._find(uid).logs(replica_id, lines)

    def events(self, uid: str) -> list[Event]:
        return self._find(uid).events

    async def restore(
        self, declared: Iterable[Declared], adopted: dict[str, dict[int, Worker]], plans: dict[str, Plan]
    ) -> None:
        """Takes up what was declared before: with the workers that still run, and new ones for the rest.

        Returns once the workers that still run are in the routing table, so that no request finds them missing.
        """
        for one in declared:
            # A worker's plan names its own devices; where some were chosen for one replica it is not everybody's.
            pinned = any(place.pinned for place in one.places)
            deployment = self._add(one, None if pinned else plans.get(one.uid))
            deployment.recall(await self._ground.store.events(one.uid))
            if one.desired == "running":
                deployment.resume(adopted.get(one.uid, {}))
            else:
                deployment.rest()
        await _until_settled([self._deployments[uid] for uid in adopted if uid in self._deployments])

    async def close(self, leave: bool) -> None:
        """Ends all, or with `leave` lets the workers run on for the next server; nothing declared is forgotten."""
        deployments = list(self._deployments.values())
        await asyncio.gather(*(deployment.stop(leave) for deployment in deployments))
        self._deployments.clear()

    def _begin(self, declared: Declared, plan: Plan, planned: Phase) -> None:
        deployment = self._add(declared, plan)
        deployment.loads.planned = planned
        deployment.start()

    def _add(self, declared: Declared, plan: Plan | None) -> Deployment:
        deployment = Deployment(declared, self._ground, plan)
        deployment.loads.tell = self._tell
        self._deployments[declared.uid] = deployment
        return deployment

    def _observe(self, deployment: Deployment) -> Observation:
        holding, route = deployment.holding(), self._ground.routing.get(deployment.uid)
        queued = len(route.turns) if route is not None and route.turns is not None else 0
        view = deployment.view()
        groups = tuple(replica.pid for replica in view.replicas if replica.pid)
        return Observation(view, deployment.loads, holding.takes if holding else {}, queued, groups)

    def _tell(self, load: Load) -> None:
        self.load_counts[load.subject.engine, load.outcome] += 1
        for listener in self.load_listeners:
            listener(load)

    async def _end(self, uid: str) -> None:
        deployment = self._deployments.get(uid)
        if deployment:
            await deployment.stop()
            if self._deployments.get(uid) is deployment:
                del self._deployments[uid]

    def _find(self, uid: str) -> Deployment:
        deployment = self._deployments.get(uid)
        if deployment is None:
            running = ", ".join(sorted(self._deployments)) or "none"
            raise ModelNotFound(f"There is no model {uid!r}. Models here: {running}.", param="model_uid")
        return deployment

    def _free_uid(self, request: LaunchRequest) -> str:
        if request.model_uid is not None:
            return self._unless_taken(request.model_uid)
        name = default_uid(request.model_name)
        check_uid(name)
        return name if not self._taken(name) else f"{name[:91]}-{secrets.token_hex(4)}"

    def _unless_taken(self, uid: str) -> str:
        if self._taken(uid):
            raise Conflict(
                f"The uid {uid!r} is taken by a model that is {self._deployments[uid].status.lower()}. "
                "Terminate that one first or choose another model_uid.",
                param="model_uid",
            )
        return uid

    def _taken(self, uid: str) -> bool:
        return uid in self._deployments and not self._deployments[uid].failed


async def _until_settled(deployments: list[Deployment]) -> None:
    """Waits for adopted deployments to answer, not for one whose worker is still loading."""
    waits = [asyncio.create_task(deployment.until_settled()) for deployment in deployments]
    if waits:
        _, pending = await asyncio.wait(waits, timeout=ADOPTED_SECONDS)
        for task in pending:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
