"""Completions of stoker on the engine vllm, against `vllm serve` itself with the same flags, in turns of one run.

python benchmarks/vllm.py [--rounds 3] [--tokens 64] [--routes chat] [--concurrencies 1] [--python PYTHON]

The time to the first token is taken from short answers, one at a time, many of them.

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
ROUTES = {"completions": "/v1/completions", "chat": "/v1/chat/completions"}
CONCURRENCIES = (1, 16)
REQUESTS = {1: 24, 16: 96}  # of a run
SHORT, SHORT_REQUESTS = 2, 120  # tokens and answers of a run for the first token's time
WARMING = 4  # the first round asks so many times less
SLOTS = 16
# Its first token is a word: vLLM streams a first token without text as an empty event, Enginehouse waits for text.
PROMPT = "Once upon a time there was"
QUESTION = "Count from 1 to 30."
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
    tokens: int
    asked: str

    @property
    def is_short(self) -> bool:
        return self.tokens == SHORT

    @property
    def requests(self) -> int:
        return SHORT_REQUESTS if self.is_short else REQUESTS[self.concurrency]


class Seen(NamedTuple):
    """A run in figures. first: p50 in seconds."""

    tokens_per_second: float
    first: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    parser.add_argument("--concurrencies", nargs="+", type=int, choices=CONCURRENCIES, default=list(CONCURRENCIES))
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
                for case in _cases(given, places):
                    if turn:
                        seen.setdefault(case, []).append(_measure(places[case.asked], case, case.requests))
                    else:
                        _measure(places[case.asked], case, max(case.concurrency, case.requests // WARMING))
    _report(seen)


def _cases(given: argparse.Namespace, places: dict[str, Place]) -> Iterator[Case]:
    for route in given.routes:
        for concurrency in given.concurrencies:
            for tokens in (SHORT, given.tokens) if concurrency == 1 else (given.tokens,):
                for asked in places:
                    yield Case(ROUTES[route], concurrency, tokens, asked)


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


def _measure(place: Place, case: Case, requests: int) -> Seen:
    body: dict[str, Any] = {
        "model": "stoker",
        "max_tokens": case.tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    if case.route == ROUTES["completions"]:
        body["prompt"] = PROMPT
    else:
        body["messages"] = [{"role": "user", "content": QUESTION}]
    done: Run = run(load(place, make_request(case.route, body), requests=requests, concurrency=case.concurrency))
    return Seen(len(done.answers) * case.tokens / done.seconds, quantile([one.first for one in done.answers], 0.5))


def _report(seen: dict[Case, list[Seen]]) -> None:
    rates, firsts = [], []
    for case, runs in seen.items():
        pairs = list(zip(runs, seen[case._replace(asked="vllm")], strict=True))
        name = f"{case.route}, {case.concurrency} at a time, {case.asked}"
        if case.is_short:
            added = median(mine.first - theirs.first for mine, theirs in pairs)
            firsts.append((name, median(one.first for one in runs) * 1e3, added * 1e3))
        else:
            share = median(mine.tokens_per_second / theirs.tokens_per_second for mine, theirs in pairs)
            rates.append((name, median(one.tokens_per_second for one in runs), share))
    print_table("Streams (medians of rounds)", ("", "tokens/s", "of vLLM's own server"), rates)
    if firsts:
        print_table("First token", ("", "p50, ms", "added, ms"), firsts)
    print(f"  targets: the server at least {SHARE:g} of vLLM's own, at most {ADDED * 1e3:g} ms added, one at a time")


if __name__ == "__main__":
    main()
