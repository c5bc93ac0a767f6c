"""The routing table: which workers answer for which model. Read on every request, without a lock or a wait."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import msgspec

from ..sdk import AUXILIARY, EnginehouseError, LaunchFailed, ModelNotFound, NotReady, NotSupported
from .turns import LimitReached, Turns

BUSY_RETRY_AFTER_SECONDS = 1  # a turn at a busy model comes when any of its requests ends
RETRY_AFTER_SECONDS = 5  # a model of ordinary size loads in seconds; a client that knocks more often only costs


class Replica(msgspec.Struct, eq=False):
    """One ready worker. address: the path of a Unix socket, or host:port.

    in_flight: requests that the gateway has with it now; the relay counts. used: when the last one ended, or the
    worker became ready (monotonic seconds). turns: who waits for a request to end, where their number is limited.
    """

    worker_id: str
    replica_id: int
    address: str
    in_flight: int = 0
    used: float = msgspec.field(default_factory=time.monotonic)
    turns: Turns | None = None

    def release(self) -> None:
        """One request less."""
        self.in_flight -= 1
        self.used = time.monotonic()
        if self.turns is not None:
            self.turns.step()


class Route(msgspec.Struct, eq=False):
    """A deployment as the gateway sees it.

    replicas: the ready ones. waiting: why there is none, when there will be; failure: when there will not.
    limit: requests at once for each replica, and turns: the queue of those beyond. demand: asks for the model to be
    loaded, where requests may wait for that; refused: why the last time it was asked for did not end in its loading.
    """

    model_uid: str
    tasks: tuple[str, ...]
    replicas: tuple[Replica, ...] = ()
    waiting: str = "is still loading"
    failure: str | None = None
    limit: int | None = None
    turns: Turns | None = None
    demand: Callable[[], None] | None = None
    refused: EnginehouseError | None = None


class RoutingTable:
    """Routes by model uid. Deployments write, the gateway reads; both live on one event loop."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._changes: dict[str, asyncio.Future[None]] = {}
        self._awaited: Counter[str] = Counter()

    def put(self, route: Route) -> None:
        self._routes[route.model_uid] = route
        self._tell(route)

    def drop(self, model_uid: str) -> None:
        route = self._routes.pop(model_uid, None)
        if route is not None:
            self._tell(route)

    def change(self, model_uid: str) -> asyncio.Future[None]:
        """Done with the next change of a route; shared by all who wait for it, so not to be cancelled."""
        change = self._changes.get(model_uid)
        if change is None:
            change = self._changes[model_uid] = asyncio.get_running_loop().create_future()
        return change

    @contextmanager
    def awaiting(self, model_uid: str) -> Iterator[None]:
        """For as long as a request waits for this model to be loaded."""
        self._awaited[model_uid] += 1
        try:
            yield
        finally:
            self._awaited[model_uid] -= 1
            if not self._awaited[model_uid]:
                del self._awaited[model_uid]

    def awaited(self, model_uid: str) -> bool:
        """Whether requests wait for this model to be loaded."""
        return model_uid in self._awaited

    def _tell(self, route: Route) -> None:
        change = self._changes.pop(route.model_uid, None)
        if change is not None:
            change.set_result(None)
        if route.turns is not None:
            route.turns.step()

    def get(self, model_uid: str) -> Route | None:
        return self._routes.get(model_uid)

    def addresses(self) -> set[str]:
        """Of all workers that answer now."""
        return {replica.address for route in self._routes.values() for replica in route.replicas}

    def ready(self) -> list[str]:
        """Uids that answer now."""
        return [uid for uid, route in self._routes.items() if route.replicas]

    def pick(self, model_uid: str, task: str, tried: Collection[str] = (), called: bool = False) -> Replica:
        """The replica with the fewest requests, none of `tried` (worker ids). called: its turn in the queue has come.
        An auxiliary task needs no declaring.

        Raises ModelNotFound, NotSupported when the model has no such task, NotReady while it loads, LaunchFailed
        when it is down for good, LimitReached when every replica has as many requests as it may.
        """
        route = self._routes.get(model_uid)
        if route is None:
            raise ModelNotFound(
                f"There is no model {model_uid!r}. Running models: {', '.join(sorted(self.ready())) or 'none'}. "
                "Launch it with POST /v1/models or `enginehouse launch`.",
                param="model",
            )
        if route.tasks and task not in route.tasks and task not in AUXILIARY:
            offers = ", ".join(route.tasks)
            raise NotSupported(f"Model {model_uid!r} does not do {task!r}; it does: {offers}.", param="model")
        usable = [replica for replica in route.replicas if replica.worker_id not in tried]
        if not usable and route.failure:
            raise LaunchFailed(f"Model {model_uid!r} is down: {route.failure} Launch it again when that is mended.")
        if not usable:
            raise NotReady(f"Model {model_uid!r} {route.waiting}; try again.", retry_after=RETRY_AFTER_SECONDS)
        replica = min(usable, key=_load)
        if route.limit is not None and (
            replica.in_flight >= route.limit or (route.turns is not None and len(route.turns) and not called)
        ):
            raise LimitReached(
                f"Rate limit reached for the model. Request limit {route.limit} for the model: {model_uid}. "
                "Try again in a moment.",
                retry_after=BUSY_RETRY_AFTER_SECONDS,
            )
        return replica


def _load(replica: Replica) -> int:
    return replica.in_flight
