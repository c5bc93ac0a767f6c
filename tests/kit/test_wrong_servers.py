"""The kit finds what is wrong with a server binary that only looks like a worker."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from enginehouse.builtin import plugin as builtin
from enginehouse.testing.checks import faults, pressure, worker
from enginehouse.testing.checks.check import Check
from enginehouse.testing.checks.stage import Stage
from enginehouse.testing.houses import House
from enginehouse.testing.reports import run_check

LIGHT = """
    import sys

    from enginehouse.sdk import EngineSpec, ModelFamily, Variant, hookimpl


    @hookimpl
    def enginehouse_engines():
        spec = EngineSpec(
            name="careless", tasks=("rerank",), model_types=("rerank",), formats=("careless",),
            command="careless_server.plugin:command",
        )
        return [spec]


    @hookimpl
    def enginehouse_families():
        nothing = Variant(format="careless", size_in_billions="0_001", sources=("package:careless_server",))
        return [ModelFamily(name="careless", model_type="rerank", variants=(nothing,), abilities=("rerank",))]


    def command(order):
        return (sys.executable, "-m", "careless_server.server", order.socket)
"""
SERVER = """
    import json
    import os
    import socketserver
    import sys
    from http.server import BaseHTTPRequestHandler

    running = []


    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(200, {"state": "ready", "progress": 1.0, "in_flight": len(running)})

        def do_POST(self):
            running.append(self)
            self.rfile.read(int(self.headers["content-length"]))
            running.remove(self)
            self.answer(200, {"id": "1", "results": [{"index": 0, "relevance_score": 0.5}]})

        def answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self):
            return "the host"


    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 256


    os.umask(0o177)
    Server(sys.argv[1], Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """It counts what runs and answers; it refuses nothing, and SIGTERM ends it in the midst of an answer."""
    site = tmp_path_factory.mktemp("careless")
    package, info = site / "careless_server", site / "careless_server-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    for name, text in (("__init__", ""), ("plugin", LIGHT), ("server", SERVER)):
        (package / f"{name}.py").write_text(textwrap.dedent(text))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: careless-server\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\ncareless_server = careless_server.plugin\n")
    house = House(site / "h", site=(site,), ENGINEHOUSE_WORKER_REQUESTS=str(pressure.AT_ONCE)).start()
    launch: dict[str, Any] = {"model_type": "rerank", "model_uid": "careless", "model_engine": "careless"}
    house.launch("careless", **launch)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(site))
        (spec,) = importlib.import_module("careless_server.plugin").enginehouse_engines()
    kind = next(one for one in builtin.enginehouse_model_types() if one.name == "rerank")
    stage = Stage(house, {**launch, "model_name": "careless"}, spec, kind)
    yield stage
    stage.close()
    house.end()


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (worker.answers, ""),
        (pressure.full_workers_refuse, "status 429"),
        (worker.unknown_routes_are_refused, "status 404"),
        (faults.sigterm_waits_for_answers, "an answer of the right shape"),  # the connection breaks
    ],
    ids=lambda one: one.name if isinstance(one, Check) else "",
)
def test_what_is_wrong_with_it_is_found(stage: Stage, check: Check, said: str) -> None:
    assert stage.facts.counts and stage.facts.tasks == ("rerank",)
    result = run_check(check, stage)
    assert (result.state, result.expected) == (("failed", said) if said else ("passed", "")), result.tell()
