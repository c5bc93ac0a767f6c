"""Launch of a model, from the request to ready, against a bare process that imports and loads the same.

python benchmarks/launch.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

from bare import bare_process, stoker_folder
from house import House, served
from processes import cpu_spent, memory_mb
from tables import median, print_machine, print_table

LIMIT = 1.5


class Start(NamedTuple):
    """One start: seconds it took, CPU seconds of the process (little changed by what else runs), resident MB."""

    seconds: float
    cpu: float
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print_machine()
    folder = stoker_folder()
    launched: list[Start] = []
    loaded: list[Start] = []
    with served() as house:
        for number in range(rounds + 1):  # the first of each is not counted: it fills the page cache
            with bare_process(folder) as bare:
                loaded.append(_start(bare.process.pid, bare.started))
            launched.append(_launch(house, f"stoker-{number}"))
    _report(launched[1:], loaded[1:])


def _report(launched: list[Start], loaded: list[Start]) -> None:
    rows = [_row("bare process: import torch, transformers; load", loaded), _row("POST /v1/models to ready", launched)]
    columns = ("", "median s", "least s", "most s", "CPU s of the process", "resident MB")
    print_table(f"Launch of stoker ({len(launched)} rounds)", columns, rows)
    pairs = list(zip(launched, loaded, strict=True))
    ratio, work = (median(after[field] / before[field] for after, before in pairs) for field in (0, 1))
    print(f"  launch / bare: {ratio:.2f}x in time (target: at most {LIMIT}x), {work:.2f}x in CPU time of the process")


def _launch(house: House, uid: str) -> Start:
    began = time.perf_counter()
    house.ask("POST", "/v1/models", {"model_name": "stoker", "model_engine": "transformers", "model_uid": uid})
    seconds = time.perf_counter() - began
    start = _start(house.ask("GET", f"/v1/models/{uid}/replicas")[0]["pid"], seconds)
    house.terminate(uid)
    return start


def _start(pid: int, seconds: float) -> Start:
    return Start(seconds, cpu_spent(pid), memory_mb(pid)[0])


def _row(name: str, starts: list[Start]) -> tuple[object, ...]:
    seconds = [start.seconds for start in starts]
    work, memory = (median(start[field] for start in starts) for field in (1, 2))
    return (name, median(seconds), min(seconds), max(seconds), work, memory)


if __name__ == "__main__":
    main()
