"""New workers in the place of those that run."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest


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


@pytest.mark.parametrize("wrong", [{"load_crash": "raise"}, {}], ids=["fails", "comes up"])
def test_the_replica_that_is_left_has_a_successor_whatever_its_number(
    server: Any, wait: Any, running: Any, wrong: dict[str, str]
) -> None:
    uid = server.launch("fake-model", replica=2, tokens=4)
    former = server.pid(uid, 1)
    assert server.client.delete(f"/v1/models/{uid}/replicas/0").status_code == 200
    wait(lambda: [one["replica_id"] for one in server.replicas(uid)] == [1], 60, "the end of the other")
    answer = server.client.post(f"/v1/models/{uid}/renew", json={"model_name": "fake-model", "tokens": 5, **wrong})
    assert answer.status_code == (503 if wrong else 200), answer.text
    said = server.complete(uid, max_tokens=64)
    assert said.status_code == 200 and len(said.json()["choices"][0]["text"].split()) == (4 if wrong else 5)
    if wrong:
        assert server.pid(uid) == former and running(former)
    server.client.delete(f"/v1/models/{uid}")


def test_what_falls_idle_while_it_is_renewed_sleeps_later(server: Any, wait: Any) -> None:
    uid = server.launch(model_uid="drowsy", keep_alive=0.5, sleeps=True, sleep_seconds=0.1)
    body = {"model_name": "fake-model", "keep_alive": 0.5, "sleeps": True, "load_seconds": 1.5}
    assert server.client.post(f"/v1/models/{uid}/renew", json=body).status_code == 200
    wait(lambda: "Replica 0 sleeps" in " ".join(events(server, uid)), 60, "its falling asleep")
    told = events(server, uid)
    lying_down = next(number for number, text in enumerate(told) if "shall sleep" in text)
    assert any("Launched anew" in text for text in told[:lying_down]), told
    assert server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_a_model_that_is_ended_while_it_is_launched_anew_is_gone(server: Any, wait: Any) -> None:
    uid = server.launch("fake-model", replica=2)
    former = server.pid(uid)
    body = {"model_name": "fake-model", "replica": 2, "load_seconds": 1.5}
    answers: list[int] = []

    def relaunch() -> None:
        answers.append(server.client.post(f"/v1/models/{uid}/renew", json=body).status_code)

    renewing = threading.Thread(target=relaunch)
    renewing.start()
    wait(lambda: server.pid(uid) != former, 60, "the first successor")
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    renewing.join(60)
    assert len(answers) == 1 and answers[0] >= 400, "while the second was on its way"
    assert server.complete(uid).status_code == 404


def events(server: Any, uid: str) -> list[str]:
    return [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]
