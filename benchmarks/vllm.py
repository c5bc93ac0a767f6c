"""Completions of stoker on the engine vllm, against `vllm serve` itself with the same flags, in turns of one run.

python benchmarks/vllm.py [--rounds 3] [--tokens 64] [--python PYTHON]

PYTHON: an interpreter that has vLLM; without it the server makes an environment, which takes minutes the first time.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from house import House, Worker, environment, served
from load import Place, Run, load, make_request, run
from tables import median, print_machine, print_table, quantile

from enginehouse.sdk import WorkerOrder
from enginehouse_vllm.arguments import launch_of, options_of

SHARE = 0.95
ADDED = 0.001  # seconds to the first token
CONCURRENCIES = (1, 16)
REQUESTS = {1: 24, 16: 96}  # of a run
SLOTS = 16
PROMPT = "Count from 1 to 30."
START_SECONDS = 180.0  # vLLM imports for a long time
ENTRY = """
import uvloop
from enginehouse_vllm.vllm_entry import make_parser, serve
uvloop.run(serve(make_parser().parse_args()))
"""


class Case(NamedTuple):
    """How many at once ask whom: "server", "worker" (on its socket, without the gateway), or "vllm" itself."""

    route: str
    concurrency: int
    asked: str


class Seen(NamedTuple):
    """A run in figures. first: p50 in seconds."""

    tokens_per_second: float
    first: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--python", help="interpreter that has vLLM")
    given = parser.parse_args()
    print_machine()
    fields: dict[str, Any] = {"environment": f"path:{given.python}"} if given.python else {}
    seen: dict[Case, list[Seen]] = {}
    with served(ENGINEHOUSE_LAUNCH_SECONDS="600") as house:
        worker = house.launch(
            model_name="stoker", model_engine="vllm", model_uid="stoker", max_num_seqs=SLOTS, **fields
        )
        with _own_server(house, worker) as own:
            places = {
                "server": Place("server", port=house.port),
                "worker": Place("worker", path=worker.socket),
                "vllm": own,
            }
            for turn in range(given.rounds + 1):
                for case in _cases(places):
                    figures = _measure(places[case.asked], case, given.tokens)
                    if turn:  # the first round warms up
                        seen.setdefault(case, []).append(figures)
    _report(seen, given.tokens)


def _cases(places: dict[str, Place]) -> Iterator[Case]:
    for route in ("/v1/completions", "/v1/chat/completions"):
        for concurrency in CONCURRENCIES:
            for asked in places:
                yield Case(route, concurrency, asked)


@contextlib.contextmanager
def _own_server(house: House, worker: Worker) -> Iterator[Place]:
    """vLLM's server as the worker runs it, without the middleware and on a socket of its own."""
    (file,) = house.home.glob("workers/*/order.json")
    order = msgspec.json.decode(file.read_bytes(), type=WorkerOrder)
    assert order.runner is not None
    launch = launch_of(order, order.runner, options_of(order.runner))
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/vllm.sock"
        command = [order.argv[0], "-c", ENTRY, *_without_middleware(launch.argv, socket)]
        variables = environment(**{**launch.variables, **order.environment})
        log = Path(folder) / "vllm.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _await(process, socket, log)
            yield Place("vllm", path=socket)
        finally:
            process.terminate()
            process.wait(60)


def _without_middleware(argv: Sequence[str], socket: str) -> list[str]:
    words = list(argv)
    at = words.index("--middleware")
    del words[at : at + 2]
    words[words.index("--uds") + 1] = socket
    return words


def _await(process: subprocess.Popen[bytes], socket: str, log: Path) -> None:
    request = make_request("/v1/completions", {"model": "stoker", "prompt": "a", "max_tokens": 1})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            run(load(Place("vllm", path=socket), request, requests=1))
            return
        time.sleep(0.1)
    raise RuntimeError(f"vLLM's own server did not start: {log.read_text()[-2000:]}")


def _measure(place: Place, case: Case, tokens: int) -> Seen:
    body: dict[str, Any] = {
        "model": "stoker",
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    if case.route == "/v1/completions":
        body["prompt"] = PROMPT
    else:
        body["messages"] = [{"role": "user", "content": PROMPT}]
    requests = REQUESTS[case.concurrency]
    done: Run = run(load(place, make_request(case.route, body), requests=requests, concurrency=case.concurrency))
    return Seen(len(done.answers) * tokens / done.seconds, quantile([one.first for one in done.answers], 0.5))


def _report(seen: dict[Case, list[Seen]], tokens: int) -> None:
    rows = []
    for case, runs in seen.items():
        own = seen[case._replace(asked="vllm")]
        pairs = list(zip(runs, own, strict=True))
        share = median(mine.tokens_per_second / theirs.tokens_per_second for mine, theirs in pairs)
        added = median(mine.first - theirs.first for mine, theirs in pairs)
        first = median(one.first for one in runs)
        name = f"{case.route}, {case.concurrency} at a time, {case.asked}"
        rows.append((name, median(one.tokens_per_second for one in runs), share, first * 1e3, added * 1e3))
    columns = ("", "tokens/s", "of vLLM's own server", "first token, ms", "added, ms")
    print_table(f"Streams of {tokens} tokens (medians of rounds)", columns, rows)
    print(f"  targets: the server at least {SHARE:g} of vLLM's own, at most {ADDED * 1e3:g} ms added, one at a time")


if __name__ == "__main__":
    main()
