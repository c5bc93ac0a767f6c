"""What keys cost the gateway: an open server, and one that asks for keys, with budgets and without.

Target: with keys at least 0.9 of the open server's requests a second. Rounds go in turns, so that a busy machine
is busy for all of them alike.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from house import House, served
from load import Place, load, make_request, run
from processes import cpu_seconds
from tables import median, print_machine, print_table

CHAT = "/v1/chat/completions"
BUSY = 32  # connections at once
SHARE = 0.9


class Way(NamedTuple):
    """One way to ask. house: whose gateway works for it."""

    name: str
    house: House
    request: bytes


class Cost(NamedTuple):
    per_second: float
    gateway: float  # CPU seconds a request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=8000)
    arguments = parser.parse_args()
    print_machine()
    with served() as free, served(ENGINEHOUSE_REQUIRE_KEY="1") as locked:
        for house in (free, locked):
            house.launch(model_name="fake-model", model_engine="fake", model_uid="quick", tokens=1)
        run(_compare(_ways(free, locked), arguments.rounds, arguments.requests))


def _ways(free: House, locked: House) -> list[Way]:
    plain = locked.ask("POST", "/v1/keys", {"name": "plain"})["key"]
    budgets = {"models": ["quick"], "requests_per_minute": 10**9, "tokens_per_day": 10**12}
    bounded = locked.ask("POST", "/v1/keys", {"name": "bounded", **budgets})["key"]
    return [
        Way("open", free, _chat("")),
        Way("open, a key sent", free, _chat(plain)),
        Way("keys", locked, _chat(plain)),
        Way("keys, models and budgets", locked, _chat(bounded)),
    ]


def _chat(key: str) -> bytes:
    request = make_request(CHAT, {"model": "quick", "messages": [{"role": "user", "content": "hello"}]})
    line, _, rest = request.partition(b"\r\n")
    return line + b"\r\n" + (f"Authorization: Bearer {key}\r\n".encode() if key else b"") + rest


async def _compare(ways: list[Way], rounds: int, requests: int) -> None:
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for way in ways:
        await _ask(way, requests // 10)
    for _ in range(rounds):
        for way in ways:
            costs[way.name].append(await _ask(way, requests))
    base = costs[ways[0].name]
    rows = []
    for name, measured in costs.items():
        speed = median(one.per_second / first.per_second for one, first in zip(measured, base, strict=True))
        work = median(one.gateway for one in measured) * 1e6
        rows.append((name, median(one.per_second for one in measured), f"{speed:.2f}", work))
    print_table(
        f"Small requests, {BUSY} at a time (medians of {rounds} rounds)",
        ("", "requests/s", "of open", "gateway us/request"),
        rows,
    )
    print(f"  (target: at least {SHARE:g} of open)")


async def _ask(way: Way, requests: int) -> Cost:
    before = cpu_seconds(way.house.pid)
    done = await load(Place(way.name, port=way.house.port), way.request, requests=requests, concurrency=BUSY)
    assert all(answer.status == 200 for answer in done.answers)
    return Cost(done.per_second, (cpu_seconds(way.house.pid) - before) / len(done.answers))


if __name__ == "__main__":
    main()
