"""New workers in the place of those that run, one replica after the other, without losing a request.

For each replica a second worker is started beside the first; when it is ready and has answered a request it takes over,
and the first drains. One that does not come up changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..sdk import Cancelled, LaunchFailed
from .crew import Life
from .orders import Assignment
from .placement import Place, request_at
from .planning import Plan
from .publishing import take_stock
from .replica import Surroundings
from .rooms import takes_of
from .scaling import check_scalable
from .smoke import try_worker
from .standing import Standing

Around = Callable[[Callable[[], None]], Surroundings]
"""What a replica lives in, with what is called after each of its changes."""


async def renew(standing: Standing, around: Around, why: str) -> None:
    """Replaces every worker by one that is planned now. Returns when all have taken over; the former ones may still
    be ending their requests. Of a model that is not loaded only the plan is new.

    Raises Conflict or NotReady while there is nothing to renew, what planning raises, NoRoom when two workers do not
    fit beside each other, LaunchFailed when one does not come up: those replaced before stay replaced.
    """
    check_scalable(standing)
    async with standing.changing:
        check_scalable(standing)
        plan = await standing.ground.plan(standing.declared.request)
        check_scalable(standing)  # it may have been ended meanwhile
        if standing.asleep:  # what sleeps is of before
            for replica_id in standing.crew.ids:
                standing.crew.retire(replica_id, 0)
        for place in standing.declared.places:
            if place.replica_id in standing.crew:
                await _replace(standing, around, place, plan)
        standing.plan = plan
    take_stock(standing)
    standing.diary.tell("INFO", f"Renewed: {why}")


async def _replace(standing: Standing, around: Around, place: Place, plan: Plan) -> None:
    if place.pinned:
        plan = await standing.ground.plan(request_at(standing.declared.request, place))
    understudy = await rehearse(standing, around, place, plan, standing.declared.footprint_bytes)
    if place.replica_id not in standing.crew:  # unloaded, or given up: what comes next is planned anew
        return await standing.crew.dismiss(understudy)
    take_over(standing, understudy)


async def rehearse(standing: Standing, around: Around, place: Place, plan: Plan, footprint_bytes: int | None) -> Life:
    """A second worker of a replica, which has answered a request.

    Raises NoRoom, LaunchFailed, and when the model was ended meanwhile NotReady, Conflict or Cancelled; then none is
    there.
    """
    takes = takes_of(plan, plan.devices_of(place.replica_id), footprint_bytes)
    await standing.ground.rooms.admit(standing.uid, takes)
    if standing.closed:
        standing.ground.rooms.settle(standing.uid)  # nobody else will
    check_scalable(standing)  # from here on `Crew.end` knows of it
    changed = asyncio.Event()

    def on_change() -> None:
        changed.set()
        take_stock(standing)

    assignment = Assignment(
        model_uid=standing.uid, replica_id=place.replica_id, created_ts=standing.declared.created_ts, plan=plan
    )
    understudy = standing.crew.rehearse(assignment, around(on_change))
    try:
        await _until_ready(understudy, changed)
        worker = understudy.replica.worker
        if worker is None:
            raise LaunchFailed(f"The new worker of replica {place.replica_id} died before its first request.")
        await try_worker(worker.address, standing.uid, plan.tasks)
        if standing.stopping:
            raise Cancelled(f"{standing.uid!r} was ended while it was renewed.")
    except BaseException:  # also when cancelled: no worker stays that nobody asks
        await standing.crew.dismiss(understudy)
        raise
    return understudy


def take_over(standing: Standing, understudy: Life) -> None:
    """In the place of the replica's former worker, which drains."""
    standing.crew.promote(understudy, standing.ground.settings.retire_seconds)
    standing.loaded = True  # it is: had it been unloaded meanwhile, nobody would unload it again
    take_stock(standing)
    standing.woken.set()  # its task waits for another worker from now on


async def _until_ready(life: Life, changed: asyncio.Event) -> None:
    """Raises LaunchFailed with the reason when it gives up. It is given up after ENGINEHOUSE_LAUNCH_SECONDS."""
    while life.replica.status != "READY":
        ring = asyncio.create_task(changed.wait())
        try:
            await asyncio.wait({ring, life.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ring.cancel()
        changed.clear()
        if life.task.done():
            error = None if life.task.cancelled() else life.task.exception()
            raise LaunchFailed(f"The new worker did not come up: {error or 'it was ended.'}")
