"""New workers in the place of those that run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any


def test_a_model_is_renewed_without_losing_a_request(server: Any, wait: Any, running: Any) -> None:
    uid = server.launch("fake-model", replica=2, token_seconds=0.01, tokens=8)
    former = [server.pid(uid, number) for number in range(2)]
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(server.complete(uid).status_code)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        renewed = server.client.post(f"/v1/models/{uid}/renew")
    finally:
        stop.set()
        for thread in asking:
            thread.join(30)
    assert renewed.status_code == 200 and renewed.json()["status"] == "READY", renewed.text
    assert set(statuses) == {200}
    assert not set(former) & {one["pid"] for one in server.replicas(uid)}
    wait(lambda: not any(map(running, former)), 60, "the end of the former workers")
    server.client.delete(f"/v1/models/{uid}")


def test_what_does_not_come_up_anew_serves_on(server: Any, running: Any, tmp_path: Path) -> None:
    """Its weights are gone when it is to be loaded a second time."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text('{"architectures": ["FakeForCausalLM"], "model_type": "fake"}')
    uid = server.launch("vanishing", model_path=str(weights), model_engine="fake", model_format="pytorch")
    former = server.pid(uid)
    (weights / "config.json").unlink()
    weights.rmdir()
    assert server.client.post(f"/v1/models/{uid}/renew").status_code in (400, 503)
    assert server.complete(uid).status_code == 200 and server.pid(uid) == former and running(former)
    assert server.client.post("/v1/models/nobody/renew").status_code == 400
    server.client.delete(f"/v1/models/{uid}")


def test_the_command_line_renews(server: Any) -> None:
    uid = server.launch("fake-model")
    former = server.pid(uid)
    done = server.cli("renew", uid)
    assert done.returncode == 0 and "has new workers" in done.stderr, done.stderr
    assert server.pid(uid) != former and server.complete(uid).status_code == 200
    assert server.cli("renew", "nobody").returncode == 1
    server.client.delete(f"/v1/models/{uid}")
