"""Adoption: workers that a former server left running are claimed; the dead ones are buried with their reason."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

import msgspec

from ..sdk import EnginehouseError, ExitRecord, WorkerOrder
from .clusters import Clusters
from .orders import Assignment, kept_orders, remove_worker
from .placement import Place
from .planning import Plan
from .settings import Settings
from .store import Declared, Store
from .views import Event
from .worker import Worker, adopt_worker

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What the folders of a former server's workers held: live workers and plans by uid."""

    workers: dict[str, dict[int, Worker]]
    plans: dict[str, Plan]


class _Unknown(NamedTuple):
    """A worker whose cluster cannot be asked now. Its folder stays, for a server that can; its lease runs out."""


async def adopt_workers(
    settings: Settings, clusters: Clusters, store: Store, declared: list[Declared]
) -> tuple[list[Declared], Found]:
    """Claims what still runs. A live worker of a deployment that the database lost brings it back.

    Returns what is declared now, and what was found.
    """
    kept = list(kept_orders(settings.workers_folder))
    workers = await asyncio.gather(*(_adopt(order, assignment, clusters) for order, assignment in kept))
    known = {one.uid: one for one in declared}
    found = Found({}, {})
    lost: set[str] = set()
    # Of two workers of one replica, which a renewal that was cut off left, the first is the one that served.
    for (order, assignment), worker in sorted(zip(kept, workers, strict=True), key=lambda pair: _started(pair[1])):
        if isinstance(worker, _Unknown):
            continue
        if not isinstance(worker, Worker):
            await _bury(order, assignment, worker, store)
        elif not _wanted(assignment, known, found, lost):
            logger.warning("worker %s belongs to nothing declared; it is ended", order.worker_id)
            await worker.stop(settings.drain_seconds)
            remove_worker(order)
        else:
            uid = assignment.model_uid
            if uid not in known:
                known[uid] = _lost(assignment)
                lost.add(uid)
            elif uid in lost:
                known[uid] = _with_replica(known[uid], assignment.replica_id)
            found.workers.setdefault(uid, {})[assignment.replica_id] = worker
            found.plans[uid] = assignment.plan
    for uid in lost:
        await store.declare(known[uid])
    return list(known.values()), found


def _wanted(assignment: Assignment, known: dict[str, Declared], found: Found, lost: set[str]) -> bool:
    """Whether this live worker has a place: its deployment shall run (or was lost), and nobody fills the place."""
    declared = known.get(assignment.model_uid)
    if assignment.replica_id in found.workers.get(assignment.model_uid, {}):
        return False
    if declared is None:
        return True
    if declared.desired != "running" or declared.created_ts != assignment.created_ts:
        return False
    return assignment.model_uid in lost or assignment.replica_id in {place.replica_id for place in declared.places}


def _lost(assignment: Assignment) -> Declared:
    """What the database lost, as its running worker knows it. How it was scaled is known by who still runs."""
    uid = assignment.model_uid
    logger.warning("deployment %s was not in the database; its running worker brings it back", uid)
    request = assignment.plan.request
    declared = Declared(uid=uid, request=request, was_ready=True, created_ts=assignment.created_ts)
    return _with_replica(declared, assignment.replica_id)


def _with_replica(declared: Declared, replica_id: int) -> Declared:
    places = {place.replica_id: place for place in (*declared.places, Place(replica_id))}
    return msgspec.structs.replace(declared, replicas=tuple(places.values()))


async def _adopt(
    order: WorkerOrder, assignment: Assignment, clusters: Clusters
) -> Worker | ExitRecord | _Unknown | None:
    try:
        return await adopt_worker(order, assignment.plan.site, clusters)
    except EnginehouseError as error:
        logger.warning("worker %s of %s may run, and cannot be asked for: %s", order.worker_id, order.model_uid, error)
        return _Unknown()


def _started(worker: object) -> float:
    return worker.started_at if isinstance(worker, Worker) else 0.0


async def _bury(order: WorkerOrder, assignment: Assignment, record: ExitRecord | None, store: Store) -> None:
    reason = record.tell() if record else "It was gone, without a word, when the server came back."
    text = f"Replica {assignment.replica_id} ended while no server was there: {reason}"
    await store.note(assignment.model_uid, Event(ts=time.time(), kind="WARNING", text=text))
    remove_worker(order)
