"""How quickly the server and the command line start, and what an idle server holds.

python benchmarks/startup.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import subprocess
import time

from house import COMMAND, environment, served
from processes import cpu_spent, memory_mb
from tables import median, print_machine, print_table

COMMAND_SECONDS = 60.0  # a start that takes longer is a hang
LIMITS = {"serve": 1000.0, "memory": 120.0, "command": 400.0}
COMMANDS = (
    ("--version",),
    ("--help",),
    ("version",),
    ("serve", "--help"),
    ("launch", "--help"),
    ("list", "--help"),
    ("terminate", "--help"),
    ("chat", "--help"),
    ("generate", "--help"),
    ("plugins", "--help"),
    ("doctor", "--help"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print_machine()
    _measure_server(rounds)
    _measure_commands(rounds)


def _measure_server(rounds: int) -> None:
    with served():  # compiles what is not compiled yet, and fills the page cache
        pass
    starts, work, memories = [], [], []
    for _ in range(rounds):
        with served() as house:
            starts.append(house.started * 1e3)
            work.append(cpu_spent(house.pid) * 1e3)
            memories.append(memory_mb(house.pid))
    resident, proportional = (median(sizes) for sizes in zip(*memories, strict=True))
    rows = [
        ("exec to first 200 of GET /v1/models, ms", median(starts), min(starts), max(starts), LIMITS["serve"]),
        ("CPU time until then, ms", median(work), min(work), max(work), ""),
        ("idle memory, resident, MB", resident, "", "", LIMITS["memory"]),
        ("idle memory, proportional, MB", proportional, "", "", LIMITS["memory"]),
    ]
    print_table(f"Server, warm ({rounds} starts)", ("", "median", "least", "most", "target"), rows)


def _measure_commands(rounds: int) -> None:
    rows = []
    for arguments in COMMANDS:
        _time_command(arguments)
        times = [_time_command(arguments) for _ in range(rounds)]
        rows.append(("enginehouse " + " ".join(arguments), median(times), min(times), max(times), LIMITS["command"]))
    print_table(f"Command line, warm, ms ({rounds} starts)", ("", "median", "least", "most", "target"), rows)


def _time_command(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run([COMMAND, *arguments], check=True, capture_output=True, env=environment(), timeout=COMMAND_SECONDS)
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    main()
