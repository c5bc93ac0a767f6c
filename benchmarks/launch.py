"""Launch of a model, from the request to ready, against a bare process that imports and loads the same.

python benchmarks/launch.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import time

from bare import bare_process, stoker_folder
from house import House, served
from processes import memory_mb
from tables import median, print_machine, print_table

LIMIT = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print_machine()
    folder = stoker_folder()
    launched, loaded, memory = [], [], []
    with served() as house:
        for number in range(rounds + 1):  # the first of each is not counted: it fills the page cache
            with bare_process(folder) as bare:
                bare_memory = memory_mb(bare.process.pid)[0]
                loaded.append(bare.started)
            seconds, worker_memory = _launch(house, f"stoker-{number}")
            launched.append(seconds)
            memory.append((bare_memory, worker_memory))
    resident = [median(sizes) for sizes in zip(*memory[1:], strict=True)]
    rows = [
        ("bare process: import torch, transformers; load", median(loaded[1:]), *_ends(loaded), resident[0]),
        ("POST /v1/models to ready", median(launched[1:]), *_ends(launched), resident[1]),
    ]
    print_table(f"Launch of stoker ({rounds} rounds)", ("", "median s", "least s", "most s", "resident MB"), rows)
    ratio = median(after / before for after, before in zip(launched[1:], loaded[1:], strict=True))
    print(f"  launch / bare: {ratio:.2f}x (target: at most {LIMIT}x)")


def _launch(house: House, uid: str) -> tuple[float, float]:
    began = time.perf_counter()
    house.ask("POST", "/v1/models", {"model_name": "stoker", "model_engine": "transformers", "model_uid": uid})
    seconds = time.perf_counter() - began
    pid = house.ask("GET", f"/v1/models/{uid}/replicas")[0]["pid"]
    resident = memory_mb(pid)[0]
    house.terminate(uid)
    return seconds, resident


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values[1:]), max(values[1:])


if __name__ == "__main__":
    main()
