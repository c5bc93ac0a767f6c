"""The routing table: which workers answer for which model. Read on every request, without a lock or a wait."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from ..sdk import LaunchFailed, ModelNotFound, NotReady, NotSupported

RETRY_AFTER_SECONDS = 5  # a model of ordinary size loads in seconds; a client that knocks more often only costs


class Replica(msgspec.Struct, eq=False):
    """One ready worker. in_flight: requests that the gateway has with it now; the relay counts."""

    worker_id: str
    replica_id: int
    socket: str
    in_flight: int = 0


class Route(msgspec.Struct, eq=False):
    """A deployment as the gateway sees it.

    replicas: the ready ones. waiting: why there is none, when there will be; failure: when there will not.
    """

    model_uid: str
    tasks: tuple[str, ...]
    replicas: tuple[Replica, ...] = ()
    waiting: str = "is still loading"
    failure: str | None = None


class RoutingTable:
    """Routes by model uid. Deployments write, the gateway reads; both live on one event loop."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}

    def put(self, route: Route) -> None:
        self._routes[route.model_uid] = route

    def drop(self, model_uid: str) -> None:
        self._routes.pop(model_uid, None)

    def get(self, model_uid: str) -> Route | None:
        return self._routes.get(model_uid)

    def ready(self) -> list[str]:
        """Uids that answer now."""
        return [uid for uid, route in self._routes.items() if route.replicas]

    def pick(self, model_uid: str, task: str, tried: Collection[str] = ()) -> Replica:
        """The replica with the fewest requests, none of `tried` (worker ids).

        Raises ModelNotFound, NotSupported when the model has no such task, NotReady while it loads, LaunchFailed
        when it is down for good.
        """
        route = self._routes.get(model_uid)
        if route is None:
            raise ModelNotFound(
                f"There is no model {model_uid!r}. Running models: {', '.join(sorted(self.ready())) or 'none'}. "
                "Launch it with POST /v1/models or `enginehouse launch`.",
                param="model",
            )
        if task not in route.tasks:
            offers = ", ".join(route.tasks)
            raise NotSupported(f"Model {model_uid!r} does not do {task!r}; it does: {offers}.", param="model")
        usable = [replica for replica in route.replicas if replica.worker_id not in tried]
        if not usable and route.failure:
            raise LaunchFailed(f"Model {model_uid!r} is down: {route.failure} Launch it again when that is mended.")
        if not usable:
            raise NotReady(f"Model {model_uid!r} {route.waiting}; try again.", retry_after=RETRY_AFTER_SECONDS)
        return min(usable, key=_load)


def _load(replica: Replica) -> int:
    return replica.in_flight
