"""Who gives way when memory is short: a calculation over values, which touches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

MACHINE = "memory"  # the pool of the machine's own memory; accelerators are pools under their labels
Pools = Mapping[str, int]  # bytes by pool


class Holding(msgspec.Struct, frozen=True):
    """What a loaded deployment holds. state: only an idle one gives way; used: when it last answered (any clock)."""

    model_uid: str
    takes: Pools
    used: float
    state: Literal["idle", "in use", "pinned", "loading"]


class Room(msgspec.Struct, frozen=True):
    """How room is made. evict: uids, in this order; short: what would be missing all the same, then none is evicted."""

    evict: tuple[str, ...] = ()
    short: Pools = {}


def make_room(need: Pools, free: Mapping[str, int | None], holdings: Iterable[Holding]) -> Room:
    """Which idle deployments to unload so that `need` fits: the least recently used first, and no more than that.

    A pool whose free bytes nobody knows is taken to have room.
    """
    missing = {
        pool: wanted - left for pool, wanted in need.items() if (left := free.get(pool)) is not None and wanted > left
    }
    evict: list[str] = []
    for holding in sorted(holdings, key=_last_used):
        helps = holding.state == "idle" and any(holding.takes.get(pool) for pool in missing)
        if missing and helps:
            evict.append(holding.model_uid)
            missing = _less(missing, holding.takes)
    return Room(short=missing) if missing else Room(evict=tuple(evict))


def _last_used(holding: Holding) -> float:
    return holding.used


def _less(missing: Pools, given: Pools) -> dict[str, int]:
    left = {pool: size - given.get(pool, 0) for pool, size in missing.items()}
    return {pool: size for pool, size in left.items() if size > 0}
