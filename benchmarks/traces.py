"""What traces cost the gateway: a server without an endpoint, one whose callers are not sampled, one that traces all.

python benchmarks/traces.py [--rounds 7]

The collector answers and forgets. Rounds go in turns, so that a busy machine is busy for all of them alike.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from house import House, served
from load import Place, load, make_request, run
from processes import cpu_seconds
from tables import median, print_machine, print_table

CHAT = "/v1/chat/completions"
BUSY = 32  # connections at once


class Way(NamedTuple):
    """One server and what it is asked. events: of one answer."""

    name: str
    house: House
    tokens: int


class Cost(NamedTuple):
    per_second: float
    gateway: float  # CPU seconds a request


class Sink(BaseHTTPRequestHandler):
    """Takes whatever is sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4000)
    arguments = parser.parse_args()
    print_machine()
    with _sink() as endpoint:
        off = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_off"}
        with served() as bare, served(**off) as unsampled, served(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as sampled:
            houses = {"no endpoint": bare, "endpoint, none sampled": unsampled, "endpoint, all sampled": sampled}
            for house in houses.values():
                house.launch(model_name="fake-model", model_engine="fake", model_uid="quick", tokens=1000)
            for tokens, requests in ((1, arguments.requests), (200, arguments.requests // 10)):
                ways = [Way(name, house, tokens) for name, house in houses.items()]
                run(_compare(ways, arguments.rounds, requests))


@contextmanager
def _sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


async def _compare(ways: list[Way], rounds: int, requests: int) -> None:
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
    kind = "Small requests" if ways[0].tokens == 1 else f"Streams of {ways[0].tokens} tokens"
    columns = ("", "requests/s", "of no endpoint", "gateway us/request")
    print_table(f"{kind}, {BUSY} at a time (medians of {rounds} rounds)", columns, rows)


async def _ask(way: Way, requests: int) -> Cost:
    body = {"model": "quick", "max_tokens": way.tokens, "stream": way.tokens > 1}
    request = make_request(CHAT, {**body, "messages": [{"role": "user", "content": "hello"}]})
    before = cpu_seconds(way.house.pid)
    done = await load(Place(way.name, port=way.house.port), request, requests=requests, concurrency=BUSY)
    assert all(answer.status == 200 for answer in done.answers)
    return Cost(done.per_second, (cpu_seconds(way.house.pid) - before) / len(done.answers))


if __name__ == "__main__":
    main()
