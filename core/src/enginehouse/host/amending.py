"""Changes of what a deployment is declared to be, made while its workers run and without losing a request."""

from __future__ import annotations

from .amendment import Amendment
from .launch_request import LaunchRequest
from .placement import Place, free_id
from .publishing import publish
from .scaling import check_scalable, let_go_of_the_unwanted
from .standing import Standing
from .turns import turns_for


async def amend(standing: Standing, amendment: Amendment) -> tuple[int, ...]:
    """Declares the change and lets it take effect; the ids of replicas that were added, which are yet to be ready.

    Those that go finish what they are answering. Of too many go first those that were given up, then the highest
    numbers. Raises Conflict or NotReady while there is nothing to change, what planning raises for more replicas,
    StateUnavailable; then nothing has changed.
    """
    check_scalable(standing)
    wish = amendment.amend(standing.declared.request)
    if wish.replica > len(standing.declared.places):
        await standing.ground.plan(wish)  # refused before it is declared
    async with standing.changing:
        check_scalable(standing)
        before, places = standing.declared.request, standing.declared.places
        after = amendment.amend(before)
        if after == before:
            return ()
        wanted = _resized(standing, places, after.replica)
        await standing.declaration.change(request=after, replicas=wanted)
        added = tuple(place.replica_id for place in wanted if place not in places)
        if standing.loaded:
            for replica_id in added:
                standing.added.make(replica_id)
        standing.given_up &= {place.replica_id for place in wanted}
    standing.diary.tell("INFO", f"Changed in place: {_told(before, after)}.")
    take_effect(standing)
    return added


def _resized(standing: Standing, places: tuple[Place, ...], replicas: int) -> tuple[Place, ...]:
    ranked = sorted(places, key=lambda place: (place.replica_id in standing.given_up, place.replica_id))
    kept = ranked[:replicas]
    taken = standing.crew.ids | set(standing.crew.parting)
    while len(kept) < replicas:
        kept.append(Place(free_id(kept, taken)))
    return tuple(kept)


def take_effect(standing: Standing) -> None:
    """What is declared, in one breath: nobody sees a limit without its queue, or a replica that shall go."""
    request, before = standing.declared.request, standing.turns
    standing.turns = turns_for(request, standing.ground.settings)
    if before is not None and standing.turns is not None:
        standing.turns = before.resized_as(standing.turns)
    if not standing.loaded and not request.may_unload:
        standing.loaded = True  # no request would be waited for
    let_go_of_the_unwanted(standing)
    publish(standing)
    if before is not None:
        before.step()  # where there is room now, those who wait go on
    standing.woken.set()


def _told(before: LaunchRequest, after: LaunchRequest) -> str:
    changed = (
        (name, getattr(before, name), getattr(after, name))
        for name in before.__struct_fields__
        if getattr(before, name) != getattr(after, name)
    )
    return ", ".join(f"{name} {_spell(old)} -> {_spell(new)}" for name, old, new in changed)


def _spell(value: object) -> str:
    return "none" if value is None else str(value)
