"""Restarts of the server: what comes back, in which order, and what autostart keeps from coming back."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import httpx

FAKE = {"model_name": "fake-model", "model_engine": "fake"}


def restart(server: Any, how: signal.Signals = signal.SIGINT) -> None:
    assert server.stop(how) == 0
    server.client.close()
    server.client = httpx.Client(base_url=server.url, timeout=server.client.timeout)
    server.start()


def entry(server: Any, uid: str, **fields: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/autostart/models", json={"launch": {**FAKE, "model_uid": uid}, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def statuses(server: Any) -> dict[str, str]:
    return dict(server.client.get("/status").json()["models"])


def summary(server: Any) -> dict[str, Any]:
    return {one["model_uid"]: one for one in server.client.get("/v1/autostart/models/summary").json()["models"]}


def test_what_comes_back(new_server: Callable[..., Any], wait: Callable[..., Any]) -> None:
    server = new_server()
    for uid in ("declared", "dismissed", "again"):
        server.launch(**FAKE, model_uid=uid)
    entry(server, "first", priority=1)
    wait(lambda: statuses(server).get("first") == "READY", 60, "the entry's start")
    entry(server, "off", enabled=False)
    entry(server, "declared", priority=5)
    assert server.client.delete("/v1/autostart/models/dismissed").status_code == 200
    assert server.client.delete("/v1/models/first").status_code == 200  # its entry stays
    assert statuses(server) == {"declared": "READY", "dismissed": "READY", "again": "READY"}

    restart(server)
    wanted = {"declared": "READY", "again": "READY", "first": "READY"}
    wait(lambda: statuses(server) == wanted, 60, "what is started with the server")
    assert list(summary(server)) == ["first", "declared", "again", "off"]

    entry(server, "again", enabled=False)
    assert statuses(server) == wanted  # it runs on
    server.launch(**FAKE, model_uid="dismissed")  # another of the same name is declared anew
    restart(server)
    wanted = {"declared": "READY", "dismissed": "READY", "first": "READY"}
    wait(lambda: statuses(server) == wanted, 60, "what is started with the server")
    assert summary(server)["again"]["enabled"] is False


def test_a_worker_that_runs_on_is_not_ended(new_server: Callable[..., Any], wait: Callable[..., Any]) -> None:
    server = new_server()
    server.launch(**FAKE)
    pid = server.pid("fake-model")
    assert server.client.delete("/v1/autostart/models/fake-model").status_code == 200
    restart(server, signal.SIGTERM)
    wait(lambda: statuses(server) == {"fake-model": "READY"}, 60, "the adopted model")
    assert server.pid("fake-model") == pid
    restart(server)
    assert statuses(server) == {}
