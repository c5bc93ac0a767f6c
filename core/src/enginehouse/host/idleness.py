"""What a deployment holds of the memory, and giving it back: after lying idle, or when another needs the room.

Where all its workers can sleep, one that lies idle sleeps; else, and to make room for another, it is unloaded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from .ledger import Holding
from .publishing import publish
from .replica import ReplicaLife
from .rooms import NoRoom, Takes, measure, takes_asleep, takes_of, takes_to_wake
from .standing import Standing

EVICTION_SECONDS = 15.0  # beyond the drain, for processes to be killed and reaped
BUSY_LOOK = 0.5  # seconds at least between looks whether a busy model has become idle


class Eviction(NamedTuple):
    """A wish that a deployment makes room. gone: whether it did."""

    why: str
    gone: asyncio.Future[bool]


class Idleness:
    """Unloads one deployment when nobody uses it. `rooms.Holder`; its deployment's task alone calls `attend`."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._eviction: Eviction | None = None

    def holding(self) -> Holding | None:
        """What it holds of each memory, as estimated; None when it is not loaded."""
        standing = self._standing
        if not standing.crew:
            return None
        takes: Counter[str] = Counter()
        for life in standing.crew.replicas:
            awake = self._takes(life)
            takes.update(takes_asleep(awake) if life.sleeps else awake.wished)
        used = max(life.used for life in standing.crew.replicas)
        return Holding(standing.uid, takes, used, standing.grip)

    def _takes(self, life: ReplicaLife) -> Takes:
        """Awake."""
        plan = life.assignment.plan
        devices = plan.devices_of(life.assignment.replica_id)
        return takes_of(plan, devices, self._standing.declared.footprint_bytes)

    def workers(self) -> list[int]:
        """Process groups of its replicas."""
        return [life.worker.pid for life in self._standing.crew.replicas if life.worker and life.worker.pid]

    async def evict(self, why: str) -> bool:
        """Unloads it, to make room for another, unless somebody has begun to use it; whether it is gone."""
        gone = asyncio.get_running_loop().create_future()
        self._eviction = Eviction(why, gone)
        self._standing.woken.set()
        bound = self._standing.ground.settings.drain_seconds + EVICTION_SECONDS
        done, _ = await asyncio.wait({gone}, timeout=bound)
        return bool(done and gone.result())

    def refuse(self) -> None:
        """The deployment ends: who waits for its room hears so at once."""
        if self._eviction and not self._eviction.gone.done():
            self._eviction.gone.set_result(False)

    def due(self) -> float | None:
        """Seconds until it may be unloaded, as it looks now; None when nothing is to be unloaded."""
        standing = self._standing
        keep_alive = standing.declared.request.keep_alive
        routes = standing.crew.routes()
        if keep_alive is None or not standing.loaded or not routes or len(routes) < len(standing.crew):
            return None
        if standing.in_use or standing.changing.locked():  # its successors may be on their way
            return max(keep_alive, BUSY_LOOK)
        return max(0.0, max(route.used for route in routes) + keep_alive - time.monotonic())

    async def attend(self) -> None:
        """Unloads what has lain idle for long enough, or what is to make room."""
        if self.due() == 0:
            await self._measure()
            if self.due() == 0:  # nobody came meanwhile
                keep_alive = self._standing.declared.request.keep_alive
                if all(life.can_sleep for life in self._standing.crew.replicas):
                    self._lie_down(f"It shall sleep after {keep_alive:g} s without a request.")
                else:
                    await self._unload(f"Unloaded after {keep_alive:g} s without a request.")
        if self._eviction:
            await self._give_way(self._eviction)

    async def rouse(self) -> None:
        """Wakes what sleeps and is wanted. What there is no room for is ended, and loads as any other where it can."""
        standing = self._standing
        for life in standing.crew.replicas:
            if not (life.sleeps and life.shall_sleep and life.worker):  # one that is falling asleep gets its turn
                continue
            refusal = await self._without_room(life, life.worker.pid)
            if life not in standing.crew.replicas:  # renewed, or taken away, meanwhile
                continue
            if refusal is None:
                life.get_up()
            else:
                standing.diary.tell("WARNING", f"It cannot wake where it slept. {refusal.message}")
                await self._end([life.assignment.replica_id])

    async def _without_room(self, life: ReplicaLife, group: int | None) -> NoRoom | None:
        """Why one that sleeps cannot wake. group: its worker's processes, as far as they are known here."""
        needs = takes_to_wake(self._takes(life), await measure([group] if group else []))
        try:
            if needs.wished:
                await self._standing.ground.rooms.admit(self._standing.uid, needs)
        except NoRoom as error:
            return error
        return None

    async def _give_way(self, eviction: Eviction) -> None:
        self._eviction = None
        if self._standing.grip == "idle":
            await self._measure()
        gone = self._standing.grip == "idle"  # still
        if gone:
            await self._unload(eviction.why)
        if not eviction.gone.done():
            eviction.gone.set_result(gone)

    async def _measure(self) -> None:
        """Remembers what one replica takes, for the next time that room is needed."""
        if self._standing.asleep:
            return
        workers = self.workers()
        size = await measure(workers)
        if size:
            await self._standing.declaration.note(footprint_bytes=size // len(workers))

    async def _unload(self, why: str) -> None:
        """Out of the routing table in the same breath; returns when its processes are gone."""
        self._let_down(why)
        await self._end(self._standing.crew.ids)

    def _lie_down(self, why: str) -> None:
        """Out of the routing table in the same breath."""
        self._let_down(why)
        for life in self._standing.crew.replicas:
            life.lie_down()
        publish(self._standing)

    def _let_down(self, why: str) -> None:
        standing = self._standing
        standing.loaded = False
        standing.given_up.clear()
        standing.ground.rooms.settle(standing.uid)
        standing.diary.tell("INFO", why)

    async def _end(self, replica_ids: Collection[int]) -> None:
        standing = self._standing
        parting = [standing.crew.retire(replica_id, 0) for replica_id in replica_ids]
        publish(standing)
        if parting:
            await asyncio.wait(parting)
