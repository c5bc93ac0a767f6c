"""Many deployments: taken up again by a new server, and started cold.

python benchmarks/deployments.py [--deployments 50] [--rounds 3]

Times are from the exec of the new server until every declared model answers (`GET /ready`).
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from house import ANSWER_SECONDS, House, running
from processes import cpu_seconds, memory_mb
from tables import median, print_machine, print_table

ADOPTED_LIMIT, COLD_LIMIT = 5.0, 40.0
LOOK_SECONDS = 0.02


class Taken(NamedTuple):
    """seconds: until all answered; cpu: of the server until then; memory: its resident MB then; pids: of workers."""

    seconds: float
    cpu: float
    memory: float
    pids: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print_machine()
    home = Path(tempfile.mkdtemp(prefix="enginehouse-benchmark-"))
    try:
        _compare(home, arguments.deployments, arguments.rounds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _compare(home: Path, number: int, rounds: int) -> None:
    taken: dict[str, list[Taken]] = {"SIGTERM": [], "kill -9": [], "cold": []}
    with running(home, {}) as house:
        for index in range(number):
            body = {"model_name": "fake-model", "model_engine": "fake", "model_uid": f"m{index}", "wait_ready": False}
            house.ask("POST", "/v1/models", body)
        before = _take_up(house, number).pids
    try:
        for _ in range(rounds):
            for name, leaving in (("SIGTERM", signal.SIGKILL), ("kill -9", signal.SIGINT), ("cold", signal.SIGTERM)):
                with running(home, {}, leaving) as house:
                    now = _take_up(house, number)
                assert (now.pids == before) is (name != "cold"), f"{name}: other workers than expected"
                before = now.pids
                taken[name].append(now)
    finally:
        with running(home, {}, signal.SIGINT):
            pass  # whose end is its workers' too
    _report(taken, number, rounds)


def _take_up(house: House, number: int) -> Taken:
    """Waits until all answer."""
    began = time.perf_counter()
    while time.perf_counter() - began < ANSWER_SECONDS:
        if house.status("GET", "/ready") == 200:
            break
        time.sleep(LOOK_SECONDS)
    seconds = house.started + time.perf_counter() - began
    cpu, memory = cpu_seconds(house.pid), memory_mb(house.pid)[0]
    models = house.ask("GET", "/v1/models")["data"]
    assert len(models) == number, f"{len(models)} of {number} models are there"
    replicas = (house.ask("GET", f"/v1/models/m{index}/replicas")[0] for index in range(number))
    return Taken(seconds, cpu, memory, tuple(replica["pid"] for replica in replicas))


def _report(taken: dict[str, list[Taken]], number: int, rounds: int) -> None:
    what = {
        "SIGTERM": ("adopted after SIGTERM", ADOPTED_LIMIT),
        "kill -9": ("adopted after kill -9", ADOPTED_LIMIT),
        "cold": ("started cold", COLD_LIMIT),
    }
    rows = []
    for name, (title, limit) in what.items():
        seconds = [one.seconds for one in taken[name]]
        cpu, memory = median(one.cpu for one in taken[name]), median(one.memory for one in taken[name])
        rows.append((title, median(seconds), min(seconds), max(seconds), limit, cpu, memory))
    columns = ("", "median s", "least s", "most s", "target, under s", "CPU s of the server", "resident MB")
    print_table(f"{number} deployments of the fake engine, exec to all of them ready ({rounds} rounds)", columns, rows)


if __name__ == "__main__":
    main()
