"""One replica more, one replica less: declared, and brought about without losing a request."""

from __future__ import annotations

import contextlib

import msgspec

from ..sdk import BadRequest, Conflict, NotReady
from .placement import Place, check_uid_free, free_id, request_at
from .publishing import take_stock
from .routing import RETRY_AFTER_SECONDS
from .standing import Standing
from .store import StateUnavailable


class Scaling:
    """Changes how many replicas a deployment is declared to have."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    async def add(self, place: Place) -> int:
        """Declares one replica more; its id, at once. Raises what planning raises, StateUnavailable, and as below."""
        standing = self._standing
        check_scalable(standing)
        await standing.ground.plan(request_at(standing.declared.request, place))  # refused before it is declared
        async with standing.changing:
            check_scalable(standing)
            places, crew = standing.declared.places, standing.crew
            check_uid_free(place, places, standing.uid)
            replica_id = free_id(places, crew.ids | set(crew.parting))
            place = msgspec.structs.replace(place, replica_id=replica_id)
            await standing.declaration.scale_to((*places, place))
            if standing.loaded:
                standing.added.make(replica_id)
        standing.diary.tell("INFO", f"Scaled up: replica {replica_id} is added.")
        standing.woken.set()
        return replica_id

    async def remove(self, replica_id: int) -> int:
        """Declares one replica less; how many are left. 0 means it is the only one: then nothing was done.

        Returns when no new request can reach it; what it is answering may end first. Raises BadRequest for a
        replica that is not there, Conflict or NotReady while there is nothing to scale.
        """
        standing = self._standing
        async with standing.changing:
            places = {place.replica_id: place for place in standing.declared.places}
            if replica_id not in places:
                have = ", ".join(map(str, sorted(places)))
                raise BadRequest(
                    f"Model {standing.uid!r} has no replica {replica_id}; it has {have}.", param="replica_id"
                )
            del places[replica_id]
            if not places:
                return 0
            check_scalable(standing)
            await standing.declaration.scale_to(tuple(places.values()))
            standing.given_up.discard(replica_id)
        standing.diary.tell("INFO", f"Scaled down: replica {replica_id} ends when its requests have.")
        let_go_of_the_unwanted(standing)
        standing.woken.set()
        return len(places)

    async def disown(self, replica_id: int, reason: str) -> None:
        """An added replica that did not come up: it is as if nobody had asked for it."""
        standing = self._standing
        async with standing.changing:
            rest = tuple(place for place in standing.declared.places if place.replica_id != replica_id)
            with contextlib.suppress(StateUnavailable):
                await standing.declaration.scale_to(rest)
        standing.added.break_(replica_id, f"Replica {replica_id} of {standing.uid!r} did not come up: {reason}")


def check_scalable(standing: Standing) -> None:
    """Raises Conflict for a deployment that is down, NotReady for one that has yet to come up or is ending."""
    if standing.failed:
        raise Conflict(f"Model {standing.uid!r} is down: {standing.error} Launch it again before scaling it.")
    if standing.launching or standing.stopping:
        raise NotReady(
            f"Model {standing.uid!r} is {standing.status.lower()}; scale it when it is ready.",
            retry_after=RETRY_AFTER_SECONDS,
        )


def let_go_of_the_unwanted(standing: Standing) -> None:
    """Out of the routing table first, in the same breath; then they drain and end."""
    unwanted = standing.crew.ids - standing.declaration.wanted
    for replica_id in unwanted:
        standing.crew.retire(replica_id, standing.ground.settings.retire_seconds)
        standing.added.withdraw(replica_id)
    if unwanted:
        take_stock(standing)
