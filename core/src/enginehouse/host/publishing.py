"""What the gateway is told of a deployment, after each of its changes."""

from __future__ import annotations

from .routing import Route
from .standing import Standing


def publish(standing: Standing) -> None:
    """Puts its route into the routing table. Nothing waits, so nobody sees half of a change."""
    if standing.closed:
        return  # a worker that ends later must not bring it back
    request, routes = standing.declared.request, standing.crew.routes()
    for replica in routes:
        replica.turns = standing.turns
    route = Route(
        model_uid=standing.uid,
        tasks=standing.plan.tasks if standing.plan else (),
        replicas=routes,
        waiting=_waiting(standing),
        failure=standing.error if standing.failed else None,
        limit=request.request_limits,
        turns=standing.turns,
        demand=standing.demand if request.may_unload and not standing.stopping else None,
        refused=standing.refused,
    )
    standing.ground.routing.put(route)


def take_stock(standing: Standing) -> None:
    """After each change of a replica: the routing table first, then whoever waits."""
    publish(standing)
    ready = standing.crew.with_status("READY")
    standing.added.keep(ready)
    if standing.loaded and standing.crew.with_status("ASLEEP"):
        standing.woken.set()  # one fell asleep that is wanted again
    if ready and ready >= standing.wanted:
        standing.settled.set()
        standing.woken.set()  # from now on it may lie idle
        standing.ground.rooms.settle(standing.uid)
        if not standing.was_ready:
            standing.was_ready = True
            standing.diary.soon(standing.declaration.note(was_ready=True))


def _waiting(standing: Standing) -> str:
    """Why no replica is ready, when one will be."""
    if standing.declared.request.may_unload:
        return "is being loaded for a request"
    restarting = standing.was_ready and standing.settled.is_set()
    return "is starting again after its worker died" if restarting else "is still loading"
