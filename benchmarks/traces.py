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

from house import served
from load import make_request, run
from tables import print_machine
from ways import Way, compare

CHAT = "/v1/chat/completions"


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
                ways = [Way(name, house, _request(tokens)) for name, house in houses.items()]
                kind = "Small requests" if tokens == 1 else f"Streams of {tokens} tokens"
                run(compare(kind, ways, arguments.rounds, requests))


@contextmanager
def _sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _request(tokens: int) -> bytes:
    body = {"model": "quick", "max_tokens": tokens, "stream": tokens > 1}
    return make_request(CHAT, {**body, "messages": [{"role": "user", "content": "hello"}]})


if __name__ == "__main__":
    main()
