"""Traces of a real server, as a real collector receives them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=7"}
ERROR = 2
BLOCK = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""

Span = dict[str, Any]


class Collector:
    """`collector.py` in a process of its own."""

    def __init__(self, seconds: float = 0.0) -> None:
        command = [sys.executable, str(Path(__file__).with_name("collector.py")), str(seconds)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def spans(self) -> list[Span]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)


@pytest.fixture
def collect() -> Iterator[Callable[..., Collector]]:
    started: list[Collector] = []

    def start(seconds: float = 0.0) -> Collector:
        started.append(Collector(seconds))
        return started[-1]

    yield start
    for one in started:
        one.end()


def variables(endpoint: str, **more: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}


def chat(server: Any, uid: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": uid, "messages": [{"role": "user", "content": "hi"}], **fields}
    return server.client.post("/v1/chat/completions", json=body, headers=headers or {})


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span["name"] == name]


def within(inner: Span, outer: Span) -> bool:
    return outer["start"] <= inner["start"] <= inner["end"] <= outer["end"]


def test_a_request_is_a_span_with_its_worker_and_its_tokens(new_server, collect, wait) -> None:
    collector = collect()
    named_service = {"OTEL_SERVICE_NAME": "house", "OTEL_RESOURCE_ATTRIBUTES": "team=stokers"}
    server = new_server(**variables(collector.url, **named_service))
    uid = server.launch(model_uid="traced", tokens=5, token_seconds=0.01)
    answer = chat(server, uid, {**PARENT, "X-Request-Id": "req-1"}, stream=True)
    assert answer.status_code == 200 and "usage" not in answer.text
    spans = wait(lambda: of_trace(collector, TRACE, 4), what="the request's spans")
    (request,) = named(spans, "POST /v1/chat/completions")
    (worker,) = named(spans, "worker")
    (first,) = named(spans, "first piece")
    (generation,) = named(spans, "generation")
    assert request["parent"] == CALLER and request["resource"]["service.name"] == "house"
    assert request["resource"]["team"] == "stokers"
    told = request["attributes"]
    assert told["http.route"] == "/v1/chat/completions" and told["http.response.status_code"] == 200
    assert told["enginehouse.model"] == "traced" and told["enginehouse.streamed"] is True
    assert told["enginehouse.replica"] == 0 and told["enginehouse.request_id"] == "req-1"
    assert told["gen_ai.usage.output_tokens"] == 5 and told["gen_ai.usage.input_tokens"] > 0
    assert 0 < told["enginehouse.first_byte_seconds"] < request["end"] - request["start"]
    assert worker["parent"] == request["id"] and within(worker, request) and worker["events"] == ["first byte"]
    for part in (first, generation):
        assert part["parent"] == worker["id"] and within(part, worker)
    assert generation["end"] - generation["start"] > 0.03


def test_a_launch_is_a_span_with_its_phases(new_server, collect, wait) -> None:
    collector = collect()
    server = new_server(**variables(collector.url))
    server.launch(model_uid="loaded", load_seconds=0.2)
    failed = server.client.post("/v1/models", json={"model_name": "fake-model", "load_crash": "raise"})
    assert failed.status_code == 503
    spans = wait(lambda: enough(collector.spans(), "launch", 2), what="two launches")
    good, bad = named(spans, "launch")
    phases = [span for span in spans if span["parent"] == good["id"]]
    assert [phase["name"] for phase in phases] == ["plan", "weights", "environment", "start", "load"]
    assert all(within(phase, good) for phase in phases)
    assert [phase["start"] for phase in phases] == sorted(phase["start"] for phase in phases)
    assert phases[-1]["end"] - phases[-1]["start"] > 0.15
    assert good["attributes"]["enginehouse.model"] == "loaded" and good["attributes"]["enginehouse.outcome"] == "ready"
    assert good["resource"]["service.name"] == "enginehouse"
    assert bad["status"] == ERROR and "failed to load" in bad["message"]


def test_other_surfaces_failures_and_waits_are_traced(new_server, collect, wait) -> None:
    collector = collect()
    server = new_server(**variables(collector.url))
    uid = server.launch(model_uid="lazy", keep_alive=300, on_demand=True, crash_at_request=2)
    message = {"model": uid, "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
    assert server.client.post("/v1/messages", json=message, headers=PARENT).status_code == 200
    (request,) = named(wait(lambda: of_trace(collector, TRACE, 3)), "POST /v1/messages")
    (waited,) = named(collector.spans(), "wait")
    assert waited["parent"] == request["id"] and waited["end"] - waited["start"] > 0.05
    assert request["attributes"]["enginehouse.streamed"] is False
    other = TRACE[::-1]
    assert chat(server, uid, {"traceparent": f"00-{other}-{CALLER}-01"}).status_code == 503
    (lost,) = named(wait(lambda: of_trace(collector, other, 2)), "POST /v1/chat/completions")
    assert lost["status"] == ERROR and lost["attributes"]["http.response.status_code"] == 503


def test_what_is_not_sampled_is_not_sent(new_server, collect, wait) -> None:
    """A caller that is not traced passes that on; the next request, which is, shows that spans would arrive."""
    collector = collect()
    server = new_server(**variables(collector.url, OTEL_TRACES_SAMPLER="parentbased_always_off"))
    uid = server.launch()
    assert chat(server, uid).status_code == 200
    assert chat(server, uid, {"traceparent": f"00-{TRACE[::-1]}-{CALLER}-00"}).status_code == 200
    assert chat(server, uid, PARENT).status_code == 200
    wait(lambda: of_trace(collector, TRACE, 2))
    assert {span["trace"] for span in collector.spans()} == {TRACE}


def test_an_endpoint_out_of_reach_is_told_once_and_holds_nothing_up(new_server, unused_port, wait) -> None:
    endpoint = f"http://127.0.0.1:{unused_port}"
    server = new_server(**variables(endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="0.2", OTEL_BSP_MAX_QUEUE_SIZE="600"))
    uid = server.launch(tokens=1)
    for _ in range(200):
        assert chat(server, uid).status_code == 200
    wait(lambda: "cannot be delivered" in server.log(), what="the warning")
    for _ in range(200):
        assert chat(server, uid).status_code == 200
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 20
    assert server.log().count("cannot be delivered") == 1 and endpoint in server.log()
    assert "Traceback" not in server.log() and "dropping" not in server.log()


def test_a_collector_that_hangs_holds_up_neither_requests_nor_the_end(new_server, collect) -> None:
    collector = collect(120.0)
    server = new_server(**variables(collector.url))
    uid = server.launch(tokens=1)
    for _ in range(20):
        assert chat(server, uid).elapsed.total_seconds() < 10
    server.client.delete(f"/v1/models/{uid}")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 20


def test_the_last_spans_are_sent_when_the_server_leaves(new_server, collect, wait) -> None:
    collector = collect()
    server = new_server(**{**variables(collector.url), "OTEL_BSP_SCHEDULE_DELAY": "600000"})
    uid = server.launch()
    assert chat(server, uid, PARENT).status_code == 200
    assert not collector.spans()
    assert server.stop() == 0
    assert len(of_trace(collector, TRACE, 2)) >= 2


def test_without_the_packages_the_server_says_so_and_runs(new_server, tmp_path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BLOCK)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    server = new_server(PYTHONPATH=path, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:4318/v1/traces")
    assert chat(server, server.launch()).status_code == 200
    assert server.log().count("opentelemetry.exporter is not installed. pip install 'enginehouse-core[otel]'") == 1


def of_trace(collector: Collector, trace: str, least: int) -> list[Span]:
    """Its spans once there are so many, the gateway's among them; nothing before."""
    found = [span for span in collector.spans() if span["trace"] == trace]
    return found if len(found) >= least and any(span["name"].startswith("POST") for span in found) else []


def enough(spans: list[Span], name: str, least: int) -> list[Span]:
    return spans if len(named(spans, name)) >= least else []
