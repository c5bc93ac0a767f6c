"""Which accelerators each replica gets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..sdk import BadRequest
from .devices import Device

Places = tuple[tuple[Device, ...], ...]


def spread(replicas: int, each: int, usable: Sequence[Device]) -> Places:
    """`each` devices for every replica, those with most free bytes first; empty ones when `each` is 0.

    While there are enough devices no two replicas share one. After that a replica goes where its share of the
    free bytes is largest, the devices being divided among all who use them.
    """
    used: Counter[str] = Counter()
    return tuple(_take(each, usable, used) for _ in range(replicas if each else 0)) or ((),) * replicas


def _take(each: int, usable: Sequence[Device], used: Counter[str]) -> tuple[Device, ...]:
    unused = [device for device in usable if not used[device.label]]
    pool = unused if len(unused) >= each else usable
    best = sorted(pool, key=lambda device: (-device.free_bytes / (used[device.label] + 1), used[device.label]))
    taken = tuple(best[:each])
    used.update(device.label for device in taken)
    return taken


def deal(replicas: int, chosen: Sequence[Device]) -> Places:
    """Devices that somebody chose, in equal parts, in the order given. Raises BadRequest when they do not divide."""
    each, left = divmod(len(chosen), replicas)
    if left or not each:
        raise BadRequest(
            f"gpu_idx names {len(chosen)} accelerators, which {replicas} replicas cannot share in equal parts; "
            f"name {replicas}, or a multiple of it.",
            param="gpu_idx",
        )
    places = tuple(tuple(chosen[start : start + each]) for start in range(0, len(chosen), each))
    for place in places:
        if len({device.label for device in place}) < each:
            raise BadRequest("gpu_idx names an accelerator twice for the same replica.", param="gpu_idx")
    return places
