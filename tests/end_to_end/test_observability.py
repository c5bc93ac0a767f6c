"""What a real server tells of itself: metrics, the dashboard that shows them, and lines of its log."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "enginehouse.json"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "watch-a-server.md"
_SUFFIX = re.compile(r"_(?:total|bucket|count|sum|created)$")
_NAME = re.compile(r"\b(?:enginehouse|process)_[a-z_]+")


def samples(server) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(server.client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(server, name: str, **labels: str) -> float:
    rows = [each for found, each in samples(server).get(name, []) if labels.items() <= found.items()]
    assert len(rows) == 1, (name, labels, rows)
    return rows[0]


def test_a_server_without_models_tells_of_none(server) -> None:
    assert value(server, "enginehouse_models", status="READY") == 0
    assert "enginehouse_worker_up" not in samples(server)


def proportional_bytes(pid: int) -> int:
    """What a process takes as the kernel counts it at this moment."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def test_the_workers_metrics_are_those_of_their_models(server) -> None:
    first, second = server.launch(model_uid="one", replica=2), server.launch(model_uid="two", tokens=3)
    assert server.complete(second).status_code == 200
    found = samples(server)
    assert len(found["enginehouse_worker_up"]) == 3
    assert value(server, "enginehouse_worker_generated_tokens_total", model="two", replica="0") == 3
    assert value(server, "enginehouse_worker_generated_tokens_total", model="one", replica="1") == 0
    assert value(server, "enginehouse_models", status="READY") == 2
    assert value(server, "enginehouse_replicas_ready", model="one") == 2
    assert value(server, "enginehouse_load_seconds_count", model="one") == 2
    assert value(server, "enginehouse_requests_queued", model="two") == 0
    estimated = value(server, "enginehouse_memory_estimated_bytes", model="two", device="memory")
    measured = value(server, "enginehouse_memory_bytes", model="two", device="memory")
    assert estimated > 0 and measured == pytest.approx(proportional_bytes(server.pid(second)), rel=0.5)
    assert 0 < value(server, "enginehouse_load_seconds_sum", model="two") < 90
    lines = server.client.get("/metrics").text.splitlines()
    headings = Counter(" ".join(line.split()[:3]) for line in lines if line.startswith("#"))
    assert max(headings.values()) == 1
    for uid in (first, second):
        server.client.delete(f"/v1/models/{uid}")
    assert "enginehouse_worker_up" not in samples(server)


def test_a_worker_that_does_not_answer_is_left_out_and_counted(server, wait) -> None:
    uid = server.launch(model_uid="stopped")
    server.launch(model_uid="fine")
    os.kill(server.pid(uid), signal.SIGSTOP)
    try:
        answer = server.client.get("/metrics")
        assert answer.elapsed.total_seconds() < 5
        assert value(server, "enginehouse_worker_up", model="stopped") == 0
        assert value(server, "enginehouse_worker_up", model="fine") == 1
        told = {labels["model"] for labels, _ in samples(server)["enginehouse_worker_in_flight"]}
        assert told == {"fine"}
    finally:
        os.kill(server.pid(uid), signal.SIGCONT)
    os.kill(server.pid(uid), signal.SIGKILL)
    wait(lambda: value(server, "enginehouse_restarts_total", model="stopped") == 1)
    wait(lambda: value(server, "enginehouse_load_seconds_count", model="stopped") == 2)
    for each in (uid, "fine"):
        server.client.delete(f"/v1/models/{each}")


def test_loads_are_counted_by_how_they_end(new_server, wait) -> None:
    server = new_server()
    assert "enginehouse_loads_total" not in samples(server)
    server.client.delete(f"/v1/models/{server.launch()}")
    failed = server.client.post("/v1/models", json={"model_name": "fake-model", "load_crash": "raise"})
    assert failed.status_code == 503
    body = {"model_name": "fake-model", "model_uid": "slow", "load_seconds": 60, "wait_ready": False}
    assert server.client.post("/v1/models", json=body).status_code == 200
    server.pid("slow")
    assert server.client.post("/v1/models/slow/cancel").status_code == 200
    counts = {outcome: loads(server, outcome) for outcome in ("ready", "failed", "cancelled")}
    assert counts == {"ready": 1, "failed": 1, "cancelled": 1}
    os.kill(server.pid(server.launch(model_uid="again")), signal.SIGKILL)
    wait(lambda: loads(server, "ready") == 3, what="the load after a death")


def loads(server, outcome: str) -> float:
    return value(server, "enginehouse_loads_total", engine="fake", outcome=outcome)


def test_every_metric_of_the_dashboard_is_there(server) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [each["definition"] for each in dashboard["templating"]["list"] if "definition" in each]
    wanted = {name for query in queries for name in _NAME.findall(query)}
    uid = server.launch(model_uid="shown")
    assert server.complete(uid).status_code == 200
    assert server.complete(uid, max_tokens=-1).status_code == 400
    told = samples(server)
    assert len(wanted) > 15 and not wanted - told.keys()
    documented = set(_NAME.findall(GUIDE.read_text()))
    families = {_SUFFIX.sub("", name) for name in told if name.startswith("enginehouse_")}
    assert not families - {_SUFFIX.sub("", name) for name in documented}
    server.client.delete(f"/v1/models/{uid}")


def test_logs_are_json_and_name_the_request(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_LOG_FORMAT="json")
    uid = server.launch(model_uid="logged", raise_at_token=1)
    headers = {"X-Request-Id": "traced"}
    assert server.client.post("/v1/completions", json={"model": uid, "prompt": "x"}, headers=headers).status_code == 500

    def lines() -> list[dict[str, str]]:
        logs = (server.home / "workers").glob("*/worker.log")
        return [
            json.loads(line) for log in logs for line in log.read_text().splitlines(keepends=True) if line[-1:] == "\n"
        ]

    # the worker's words reach the file by way of its keeper, which may be a moment later than the answer
    wait(
        lambda: any(line.get("request_id") == "traced" for line in lines()),
        20,
        "the request's line in the worker's log",
    )
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines())
    own = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert any(line["logger"].startswith("enginehouse.host") for line in own)
    assert not [line for line in server.log().splitlines() if line[:1] not in ("{", "E")]  # E: where it listens
