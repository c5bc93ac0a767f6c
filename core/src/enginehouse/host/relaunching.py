"""Another launch for a model that runs: new workers beside the former ones, without losing a request."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from ..sdk import EnginehouseError
from .amending import take_effect
from .launch_request import LaunchRequest
from .placement import Place, first_places
from .planning import Plan
from .publishing import take_stock
from .renewal import Around, rehearse, take_over
from .scaling import check_scalable
from .standing import Standing


class Wanted(NamedTuple):
    """Another launch. footprint_bytes: what one of its workers will take, as far as that was measured."""

    request: LaunchRequest
    places: tuple[Place, ...]
    plan: Plan
    footprint_bytes: int | None


async def relaunch(standing: Standing, around: Around, request: LaunchRequest) -> None:
    """Declares another launch once one new worker has proved itself. Returns when the former workers are out of the
    routing table and as many have been begun anew.

    Raises Conflict or NotReady while there is nothing to replace, what planning raises, NoRoom when two workers do not
    fit beside each other, LaunchFailed when the new one does not come up, StateUnavailable; then nothing has changed.
    """
    check_scalable(standing)
    async with standing.changing:
        check_scalable(standing)
        plan = await standing.ground.plan(request)
        check_scalable(standing)  # it may have been ended meanwhile
        asleep = standing.crew.ids if standing.asleep else set()  # they are of before, and answer nobody
        wanted = Wanted(request, _places(standing, request), plan, _footprint(standing, plan))
        living = [place for place in wanted.places if place.replica_id in standing.crew.ids - asleep]
        await _declare(standing, around, wanted, living[:1])
        for replica_id in asleep & standing.crew.ids:
            standing.crew.retire(replica_id, standing.ground.settings.retire_seconds)  # one may be awake by now
        for place in living[1:]:
            await _replace(standing, around, wanted, place)
    take_stock(standing)
    standing.diary.tell("INFO", "Launched anew, as it was changed.")
    standing.woken.set()  # replicas that are missing begin


async def _declare(standing: Standing, around: Around, wanted: Wanted, first: list[Place]) -> None:
    lock = standing.declared.environment
    proven = None
    try:
        for place in first:
            proven = await rehearse(standing, around, place, wanted.plan, wanted.footprint_bytes)
        await standing.declaration.change(request=wanted.request, replicas=wanted.places, footprint_bytes=None)
        check_scalable(standing)  # as above
    except BaseException:  # also when cancelled: no worker stays that nobody asks
        if proven:
            await standing.crew.dismiss(proven)
        await standing.declaration.note(environment=lock)  # the new one may have kept its own
        raise
    standing.plan = wanted.plan
    standing.given_up.clear()
    if proven:
        take_over(standing, proven)
    take_effect(standing)


async def _replace(standing: Standing, around: Around, wanted: Wanted, place: Place) -> None:
    """One of the others: that the launch works is known by now, so what cannot stand beside gives way."""
    try:
        take_over(standing, await rehearse(standing, around, place, wanted.plan, wanted.footprint_bytes))
    except EnginehouseError as error:
        if standing.stopping or standing.failed:
            raise
        standing.diary.tell(
            "WARNING", f"Replica {place.replica_id} ends before its successor is ready: {error.message}"
        )
        if place.replica_id in standing.crew:
            standing.crew.retire(place.replica_id, standing.ground.settings.retire_seconds)
        take_stock(standing)


def _places(standing: Standing, request: LaunchRequest) -> tuple[Place, ...]:
    """As the launch asks for them, under the numbers of those that run: each of these has a successor before it goes.

    After a replica was taken away these need not begin at 0. No two share a remainder, as `Plan.devices_of` goes by it.
    """
    ready = standing.crew.with_status("READY")
    seats = {number: number for number in range(request.replica)}
    for number in sorted(standing.crew.ids, key=lambda number: (number in ready, -number)):  # the last one stays
        seats[number % request.replica] = number
    places = zip(first_places(request), sorted(seats.values()), strict=True)
    return tuple(replace(place, replica_id=number) for place, number in places)


def _footprint(standing: Standing, plan: Plan) -> int | None:
    """What a worker was measured to take, with the same weights on the same engine; else the estimate counts."""
    former = standing.plan
    same = former is not None and (former.source, former.engine) == (plan.source, plan.engine)
    return standing.declared.footprint_bytes if same else None
