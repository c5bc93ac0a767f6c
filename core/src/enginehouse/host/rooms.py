"""Room in memory for models that are about to be loaded: asked for, made by unloading idle ones, or refused."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, Protocol

from ..sdk import EnginehouseError, LaunchFailed, Node
from ..sdk.this_machine import machine_memory
from .footprint import groups_bytes
from .ledger import MACHINE, Holding, Pools, Room, make_room
from .planning import Plan
from .routing import RETRY_AFTER_SECONDS
from .settings import Settings

WEIGHTS = "weights"  # the component of an estimate below which no model works
MEBIBYTE = 2**20

logger = logging.getLogger(__name__)


class NoRoom(LaunchFailed):
    """There is not enough memory, and nothing that may be unloaded."""

    code = "no_room"


class Takes(NamedTuple):
    """How much a replica takes. wished: as measured or estimated; least: what must be there to try at all."""

    wished: Pools
    least: Pools


class Grant(NamedTuple):
    """What was promised to a deployment that is loading. before: what it held then of the machine's memory."""

    before: int
    takes: Counter[str]


class Holder(Protocol):
    """A deployment, as far as memory goes."""

    def holding(self) -> Holding | None:
        """What it holds as estimated; None when it is not loaded."""

    def workers(self) -> list[int]:
        """Its process groups."""

    async def evict(self, why: str) -> bool:
        """Unloads it unless somebody has begun to use it; whether it is gone."""


class Rooms:
    """The memory of this machine, as its deployments share it. One is let in after the other.

    nodes: looks at the cluster's machines, of which one may be this.
    """

    def __init__(self, settings: Settings, nodes: Callable[[], Awaitable[tuple[Node, ...]]]) -> None:
        self._settings = settings
        self._nodes = nodes
        self._holders: dict[str, Holder] = {}
        self._granted: dict[str, Grant] = {}
        self._lock = asyncio.Lock()

    def join(self, model_uid: str, holder: Holder) -> None:
        self._holders[model_uid] = holder

    def leave(self, model_uid: str) -> None:
        self._holders.pop(model_uid, None)
        self.settle(model_uid)

    def settle(self, model_uid: str) -> None:
        """It is loaded, or will not be: what was granted to it shows in what is free from now on."""
        self._granted.pop(model_uid, None)

    async def admit(self, model_uid: str, want: Takes) -> None:
        """Returns when there is room for one replica, after unloading what lay idle. Raises NoRoom."""
        async with self._lock:
            before = 0 if self._plenty(want.wished) else await self._make_room(model_uid, want)
            self._granted.setdefault(model_uid, Grant(before, Counter())).takes.update(want.wished)

    async def foresee(self, want: Takes) -> Room:
        """How room would be made now for somebody who is not here yet; nothing is unloaded."""
        holdings = await self._holdings("")
        free = await self._free(want.wished, holdings)
        room = make_room(want.wished, free, holdings)
        return make_room(want.least, free, holdings) if room.short else room

    def _plenty(self, need: Pools) -> bool:
        """Whether there is so much of the machine's memory that nobody need be asked what he holds."""
        free = machine_memory().free
        promised = sum(grant.takes[MACHINE] for grant in self._granted.values())
        left = (free or 0) - self._settings.memory_reserve_bytes - promised
        return not self._settings.memory_bytes and set(need) == {MACHINE} and need[MACHINE] <= left

    async def _make_room(self, model_uid: str, want: Takes) -> int:
        """Unloads what lies idle until there is room. Bytes that the model holds already. Raises NoRoom."""
        for _ in range(len(self._holders) + 1):  # each round that fails has met one that was used again
            holdings = await self._holdings(model_uid)
            free = await self._free(want.wished, holdings)
            room = make_room(want.wished, free, holdings)
            if room.short:
                room = make_room(want.least, free, holdings)
            if room.short:
                break
            if await self._evict(room, model_uid):
                return next((one.takes.get(MACHINE, 0) for one in holdings if one.model_uid == model_uid), 0)
        raise _no_room(model_uid, want.least, free, holdings)

    async def _evict(self, room: Room, model_uid: str) -> bool:
        for uid in room.evict:
            holder = self._holders.get(uid)
            if holder and not await holder.evict(f"Unloaded to make room for {model_uid!r}."):
                return False
        return True

    async def _holdings(self, loading: str) -> list[Holding]:
        """What all hold, as the kernel counts it where it does. The one that asks does not give way to itself."""
        found = []
        for uid, holder in list(self._holders.items()):
            holding = holder.holding()
            if holding:
                measured = await measure(holder.workers())
                takes = {**holding.takes, MACHINE: measured} if measured else holding.takes
                found.append(Holding(uid, takes, holding.used, "loading" if uid == loading else holding.state))
        return found

    async def _free(self, need: Pools, holdings: Iterable[Holding]) -> dict[str, int | None]:
        machine = (await asyncio.to_thread(machine_memory)).free
        free = {MACHINE: None if machine is None else machine - self._settings.memory_reserve_bytes}
        if self._settings.memory_bytes:
            left = self._settings.memory_bytes - sum(holding.takes.get(MACHINE, 0) for holding in holdings)
            free[MACHINE] = left if free[MACHINE] is None else min(left, free[MACHINE] or 0)
        if set(need) - {MACHINE}:
            free |= await self._free_of_devices()
        granted = self._outstanding(holdings)
        return {pool: None if size is None else size - granted[pool] for pool, size in free.items()}

    async def _free_of_devices(self) -> dict[str, int]:
        """Of this machine's; nothing where the cluster does not say: a look that fails is nobody's lack of room."""
        try:
            nodes = await self._nodes()
        except EnginehouseError as error:
            logger.warning("what accelerators have free is not known now: %s", error)
            return {}
        here = [device for node in nodes if not node.address for device in node.devices]
        return {device.label: device.free_bytes for device in here if device.free_bytes}

    def _outstanding(self, holdings: Iterable[Holding]) -> Counter[str]:
        """What was granted and is not taken yet: it still looks free."""
        held = {holding.model_uid: holding.takes.get(MACHINE, 0) for holding in holdings}
        total: Counter[str] = Counter()
        for uid, grant in self._granted.items():
            left = Counter(grant.takes)
            left[MACHINE] = max(0, left[MACHINE] - max(0, held.get(uid, 0) - grant.before))
            total.update(left)
        return total


async def measure(leaders: list[int]) -> int:
    """Bytes of the machine's memory that process groups take together; 0 when nobody can tell."""
    return await asyncio.to_thread(groups_bytes, leaders) or 0


def takes_of(plan: Plan, devices: tuple[str, ...], footprint: int | None) -> Takes:
    """What one replica of a plan takes of this machine. footprint: what one was measured to take of its memory."""
    if not plan.site.here:
        return Takes({}, {})
    estimate = plan.memory
    weights = estimate.components.get(WEIGHTS, 0) if estimate else 0
    total = estimate.total if estimate else 0
    if not devices:
        return Takes({MACHINE: footprint or total}, {MACHINE: footprint or weights})
    on_device = estimate.on_device if estimate else 0
    wished = {MACHINE: footprint or total - on_device, **_shared(on_device, devices)}
    return Takes(wished, _shared(weights, devices))


def takes_asleep(takes: Takes) -> Counter[str]:
    """What a replica holds while its worker sleeps: its weights lie in the machine's memory. takes: awake."""
    kept = sum(size for pool, size in takes.least.items() if pool != MACHINE)
    return Counter({MACHINE: takes.wished.get(MACHINE, 0) + kept})


def takes_to_wake(takes: Takes, held: int) -> Takes:
    """What it needs to be awake, beside what its sleeping worker holds of the machine's memory: `held` bytes."""
    more = max(0, takes.wished.get(MACHINE, 0) - held)
    wished = {**takes.wished, MACHINE: more}
    least = {**takes.least, MACHINE: min(more, takes.least.get(MACHINE, 0))}
    return Takes(*({pool: size for pool, size in pools.items() if size} for pools in (wished, least)))


def takes_of_all(plan: Plan) -> Takes:
    """What all replicas of a plan take together."""
    wished: Counter[str] = Counter()
    least: Counter[str] = Counter()
    for replica_id in range(plan.request.replica):
        takes = takes_of(plan, plan.devices_of(replica_id), None)
        wished.update(takes.wished)
        least.update(takes.least)
    return Takes(wished, least)


def _shared(size: int, devices: tuple[str, ...]) -> dict[str, int]:
    return {label: size // len(devices) for label in devices}


def _no_room(uid: str, need: Pools, free: dict[str, int | None], holdings: list[Holding]) -> NoRoom:
    asked = ", ".join(f"{_bytes(size)} of {pool}" for pool, size in need.items())
    have = ", ".join(f"{_bytes(max(0, free.get(pool) or 0))} of {pool}" for pool in need)
    loaded = ", ".join(f"{one.model_uid} ({_bytes(sum(one.takes.values()))}, {one.state})" for one in holdings)
    return NoRoom(
        f"There is no room for {uid!r}: a replica needs {asked}; {have} is free for models, and unloading what lies "
        f"idle would not do. Loaded: {loaded or 'nothing'}. What would fit: a model of up to {have}, or this one "
        "after terminating others; `enginehouse plan` names smaller variants.",
        retry_after=RETRY_AFTER_SECONDS,
    )


def _bytes(size: int) -> str:
    return f"{size / MEBIBYTE:.0f} MiB"
