"""New workers in the place of those that run."""

from __future__ import annotations

import json
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


def test_no_request_fails_while_a_file_is_applied(server: Any, wait: Any, running: Any, tmp_path: Path) -> None:
    """Another option for the engine: each replica has a successor before it goes."""
    file = tmp_path / "models.json"
    model = {"model_name": "fake-model", "model_uid": "m", "replica": 2, "token_seconds": 0.01}
    server.launch(**{**model, "name": "fake-model", "tokens": 4})
    former = [server.pid("m", number) for number in range(2)]
    lengths: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = server.complete("m", max_tokens=64)
            text = answer.json()["choices"][0]["text"] if answer.status_code == 200 else ""
            lengths.append(len(text.split()))

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        file.write_text(json.dumps({"models": [{**model, "tokens": 8}]}))
        applied = server.cli("apply", "-f", str(file), "--yes")
    finally:
        stop.set()
        for thread in asking:
            thread.join(30)
    assert applied.returncode == 0 and "m: has new workers" in applied.stderr, applied.stderr
    assert set(lengths) <= {4, 8} and 8 in lengths, "each was answered, by the former or the new launch"
    assert not set(former) & {one["pid"] for one in server.replicas("m")}
    wait(lambda: not any(map(running, former)), 60, "the end of the former workers")
    assert "Nothing to do" in server.cli("apply", "-f", str(file)).stderr
    server.client.delete("/v1/models/m")


def test_a_launch_that_does_not_come_up_changes_nothing(server: Any) -> None:
    uid = server.launch("fake-model", tokens=4)
    former, declared = server.pid(uid), server.client.get("/v1/declarations").json()
    for wrong, status in (
        ({"model_name": "fake-model", "load_crash": "raise"}, 503),
        ({"model_name": "nobody"}, 400),
        ({"model_name": "fake-model", "model_uid": "other"}, 400),
    ):
        answer = server.client.post(f"/v1/models/{uid}/renew", json=wrong)
        assert answer.status_code == status, answer.text
    assert server.client.get("/v1/declarations").json() == declared
    assert server.pid(uid) == former and server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_more_or_fewer_replicas_come_with_another_launch(server: Any, wait: Any) -> None:
    uid = server.launch("fake-model", replica=2, tokens=4)
    for replicas, tokens in ((3, 5), (1, 6)):
        body = {"model_name": "fake-model", "replica": replicas, "tokens": tokens}
        answer = server.client.post(f"/v1/models/{uid}/renew", json=body)
        assert answer.status_code == 200 and answer.json()["launch"]["options"] == {"tokens": tokens}, answer.text
        statuses = ["READY"] * replicas
        wait(lambda statuses=statuses: [one["status"] for one in server.replicas(uid)] == statuses, 60, "all of them")
        said = server.complete(uid, max_tokens=64).json()["choices"][0]["text"]
        assert len(said.split()) == tokens
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
