"""When memory is short, who lay idle longest gives way; whoever is used or pinned stays."""

import json
import threading
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def size(server) -> int:
    """Bytes that one worker of the fake engine takes, as the kernel counts them."""
    uid = server.launch(model_uid="measured")
    pid = server.pid(uid)
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    pages = {line.split()[0]: line.split()[1] for line in lines if line.startswith("Pss:")}
    server.client.delete(f"/v1/models/{uid}")
    return int(pages["Pss:"]) * 1024


def status(server, uid: str) -> str:
    return str(server.description(uid)["status"])


def texts(server, uid: str) -> str:
    return " ".join(event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json())


def with_room_for(new_server, size: int, workers: float):
    """A server whose models may take as much as so many workers. One that was never measured is tried when its
    weights fit, which are next to nothing here."""
    return new_server(ENGINEHOUSE_MEMORY_BYTES=str(int(size * workers)), ENGINEHOUSE_MEMORY_RESERVE_BYTES="0")


def test_the_least_recently_used_gives_way(new_server, size, running) -> None:
    server = with_room_for(new_server, size, 2.6)
    for uid in ("first", "second", "third"):
        server.launch(model_uid=uid, on_demand=True, keep_alive=600)
    assert server.complete("first").status_code == 200
    assert server.complete("second").status_code == 200
    assert server.complete("first").status_code == 200  # now the second one lies idle longest
    assert server.complete("third").status_code == 200
    assert [status(server, uid) for uid in ("first", "second", "third")] == ["READY", "UNLOADED", "READY"]
    assert "Unloaded to make room for 'third'." in texts(server, "second")
    assert server.complete("second").status_code == 200
    assert status(server, "first") == "UNLOADED"


def test_a_running_request_is_never_interrupted_and_pinned_models_stay(new_server, size) -> None:
    server = with_room_for(new_server, size, 1.8)
    server.launch(model_uid="pinned")
    server.launch(model_uid="busy", keep_alive=600, tokens=100, token_seconds=0.03)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(server.complete("busy")))
    asking.start()
    with httpx.Client(base_url=server.url, timeout=60) as other:
        other.post("/v1/models", json={"model_name": "fake-model", "model_uid": "late", "on_demand": True})
        refused = other.post("/v1/completions", json={"model": "late", "prompt": "x"})
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
        detail = refused.json()["detail"]
        assert "no room" in detail and "pinned" in detail and "in use" in detail and "would fit" in detail
        assert other.get("/v1/models/late").json()["status"] == "UNLOADED"
    asking.join(60)
    assert answers[0].status_code == 200
    assert answers[0].json()["choices"][0]["text"].split()[-1] == "word99"
    assert server.complete("late").status_code == 200, "now the other one is idle"
    assert status(server, "busy") == "UNLOADED" and status(server, "pinned") == "READY"


def test_a_launch_that_cannot_fit_is_refused(new_server, size) -> None:
    server = with_room_for(new_server, size, 0.8)
    server.launch(model_uid="whole")
    answer = server.client.post("/v1/models", json={"model_name": "fake-model", "model_uid": "more"})
    assert answer.status_code == 503 and "no room" in answer.json()["detail"]
    added = server.client.post("/v1/models/whole/replicas", json={})
    assert added.status_code == 503 and "no room" in added.json()["detail"]
    assert status(server, "whole") == "READY" and len(server.replicas("whole")) == 1
    assert server.client.delete("/v1/models/whole").status_code == 200
    assert server.launch(model_uid="more") == "more"


def test_what_was_measured_is_remembered(new_server, size, wait) -> None:
    server = new_server()
    server.launch(model_uid="lazy", on_demand=True, keep_alive=0.1)
    assert server.complete("lazy").status_code == 200
    wait(lambda: status(server, "lazy") == "UNLOADED", what="its unloading")
    server.kill()
    server.variables |= {"ENGINEHOUSE_MEMORY_BYTES": str(size // 2), "ENGINEHOUSE_MEMORY_RESERVE_BYTES": "0"}
    server.start()
    refused = server.complete("lazy")
    assert refused.status_code == 503 and "no room" in refused.json()["detail"]


def test_another_launch_without_room_beside_the_former_ends_it_first(new_server, size, wait, running, tmp_path) -> None:
    server = with_room_for(new_server, size, 1.6)
    server.launch(model_uid="m", on_demand=True, keep_alive=0.1)
    assert server.complete("m").status_code == 200
    wait(lambda: status(server, "m") == "UNLOADED", what="its unloading, which measures it")
    assert server.client.patch("/v1/models/m", json={"keep_alive": 600}).status_code == 200
    assert server.complete("m").status_code == 200
    former, body = server.pid("m"), {"model_name": "fake-model", "on_demand": True, "keep_alive": 600, "tokens": 3}
    refused = server.client.post("/v1/models/m/renew", json=body)
    assert refused.status_code == 503 and refused.json()["error"]["code"] == "no_room", refused.text
    assert server.pid("m") == former and running(former)
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"models": [{**body, "model_uid": "m"}]}))
    applied = server.cli("apply", "-f", str(file), "--yes")
    assert applied.returncode == 0 and "it ends first" in applied.stderr, applied.stderr
    assert not running(former)
    assert len(server.complete("m").json()["choices"][0]["text"].split()) == 3


def test_one_that_sleeps_gives_way_and_is_unloaded(new_server, size, wait, running) -> None:
    """Its process holds memory of the machine, too."""
    server = with_room_for(new_server, size, 1.5)
    server.launch(model_uid="sleeper", keep_alive=0.2, sleeps=True)
    pid = server.pid("sleeper")
    wait(lambda: "sleeps" in texts(server, "sleeper"), what="its falling asleep")
    assert status(server, "sleeper") == "ASLEEP"
    server.launch(model_uid="other", keep_alive=600)
    assert status(server, "sleeper") == "UNLOADED" and not running(pid)
    assert "Unloaded to make room for 'other'." in texts(server, "sleeper")
    assert server.complete("sleeper").status_code == 200
