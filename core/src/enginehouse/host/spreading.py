"""Which accelerators each replica gets. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice

from ..sdk import Device

Places = tuple[tuple[Device, ...], ...]


class Spread:
    """Devices, and how many replicas use each."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._users: Counter[str] = Counter()

    def reserve(self, devices: Sequence[Device]) -> None:
        """Counts a user for each of these."""
        self._users.update(device.label for device in devices)

    def take(self, each: int) -> tuple[Device, ...]:
        """The best devices for one more replica: unused ones, else those where its share of free bytes is largest."""
        unused = [device for device in self._devices if not self._users[device.label]]
        pool = unused if len(unused) >= each else self._devices
        taken = tuple(sorted(pool, key=self._rank)[:each])
        self.reserve(taken)
        return taken

    def _rank(self, device: Device) -> tuple[float, int]:
        users = self._users[device.label]
        return -device.free_bytes / (users + 1), users


def spread(replicas: int, each: int, usable: Sequence[Device]) -> Places:
    """`each` devices for every replica, those with most free bytes first; empty ones when `each` is 0.

    While there are enough devices no two replicas share one. After that a replica goes where its share of the
    free bytes is largest, the devices being divided among all who use them.
    """
    devices = Spread(usable)
    return tuple(devices.take(each) for _ in range(replicas))


def deal(replicas: int, chosen: Sequence[Device]) -> Places:
    """Devices that somebody chose, in equal parts, in the order given; in turn when there are more replicas."""
    each = max(1, len(chosen) // replicas)
    parts = [tuple(dict.fromkeys(chosen[start : start + each])) for start in range(0, len(chosen), each)]
    return tuple(islice(cycle(parts), replicas))
