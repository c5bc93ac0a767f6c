"""What ways of asking cost the gateway, in turns, so that a busy machine is busy for all of them alike."""

from __future__ import annotations

from typing import NamedTuple

from house import House
from load import Place, load
from processes import cpu_seconds
from tables import median, print_table

BUSY = 32  # connections at once


class Way(NamedTuple):
    """One way to ask. house: whose gateway works for it."""

    name: str
    house: House
    request: bytes


class Cost(NamedTuple):
    per_second: float
    gateway: float  # CPU seconds a request


async def compare(kind: str, ways: list[Way], rounds: int, requests: int) -> None:
    """Prints requests/s of each way, as a share of the first one's too, and the gateway's CPU for a request."""
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for way in ways:
        await _ask(way, max(1, requests // 10))
    for _ in range(rounds):
        for way in ways:
            costs[way.name].append(await _ask(way, requests))
    base = costs[ways[0].name]
    rows = []
    for name, measured in costs.items():
        speed = median(one.per_second / first.per_second for one, first in zip(measured, base, strict=True))
        work = median(one.gateway for one in measured) * 1e6
        rows.append((name, median(one.per_second for one in measured), f"{speed:.2f}", work))
    columns = ("", "requests/s", f"of {ways[0].name}", "gateway us/request")
    print_table(f"{kind}, {BUSY} at a time (medians of {rounds} rounds)", columns, rows)


async def _ask(way: Way, requests: int) -> Cost:
    before = cpu_seconds(way.house.pid)
    done = await load(Place(way.name, port=way.house.port), way.request, requests=requests, concurrency=BUSY)
    assert all(answer.status == 200 for answer in done.answers)
    return Cost(done.per_second, (cpu_seconds(way.house.pid) - before) / len(done.answers))
