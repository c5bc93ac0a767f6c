"""Models that sleep instead of being unloaded: their processes stay, and the next request wakes them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

IDLE = 0.3


def status(server: Any, uid: str) -> str:
    return str(server.description(uid)["status"])


def texts(server: Any, uid: str) -> list[str]:
    return [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]


def counters(server: Any, uid: str) -> Any:
    """What the fake engine counted, as it answers the question `stats`."""
    return server.complete(uid, "stats").json()["choices"][0]["text"]


def health(server: Any, uid: str) -> Any:
    with httpx.Client(transport=httpx.HTTPTransport(uds=server.socket(uid)), base_url="http://worker") as worker:
        answer = worker.get("/health")
    return answer.status_code, answer.json()


@pytest.fixture
def asleep(server: Any, wait: Any) -> Any:
    """Launches a model that can sleep and returns when it does; the replicas' pids."""
    launched: list[str] = []

    def begin(uid: str, **fields: Any) -> list[int]:
        launched.append(server.launch(model_uid=uid, keep_alive=IDLE, sleeps=True, **fields))
        pids = [replica["pid"] for replica in server.replicas(uid)]
        sleeping = f"Replica {len(pids) - 1} sleeps"
        wait(lambda: any(sleeping in text for text in texts(server, uid)), what="its falling asleep")
        return pids

    yield begin
    for uid in launched:
        server.client.delete(f"/v1/models/{uid}")


def pids_of(server: Any, uid: str) -> list[int]:
    return [replica["pid"] for replica in server.replicas(uid)]


def test_idleness_lets_it_sleep_and_a_request_wakes_it(
    server: Any, asleep: Callable[..., list[int]], wait: Any
) -> None:
    pids = asleep("sleeper", replica=2)
    assert status(server, "sleeper") == "ASLEEP"
    assert [replica["status"] for replica in server.replicas("sleeper")] == ["ASLEEP", "ASLEEP"]
    code, page = health(server, "sleeper")
    assert (code, page["state"], page["can_sleep"]) == (503, "asleep", True)
    assert "sleeper" in [item["id"] for item in server.client.get("/v1/models").json()["data"]]
    assert server.complete("sleeper").status_code == 200
    assert pids_of(server, "sleeper") == pids, "the same processes"
    assert any("Waking, because a request came" in text for text in texts(server, "sleeper"))
    wait(lambda: status(server, "sleeper") == "ASLEEP", what="its next sleep")
    assert '"sleeps":2,"wakes":2' in counters(server, "sleeper")


def test_a_request_while_it_falls_asleep_is_answered(server: Any, wait: Any) -> None:
    uid = server.launch(model_uid="drowsy", keep_alive=IDLE, sleeps=True, sleep_seconds=3.0)
    wait(lambda: status(server, uid) == "ASLEEP", what="its falling asleep")
    assert not any("Replica 0 sleeps" in text for text in texts(server, uid))
    assert '"sleeps":1,"wakes":1' in counters(server, uid)
    server.client.delete(f"/v1/models/{uid}")


def test_many_requests_wake_it_once(server: Any, asleep: Callable[..., list[int]]) -> None:
    asleep("crowd", sleep_seconds=0.3)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses.append(client.post("/v1/completions", json={"model": "crowd", "prompt": "x"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 8
    assert sum("a request came" in text for text in texts(server, "crowd")) == 1


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_one_that_does_not_wake_is_started_anew(server: Any, asleep: Callable[..., list[int]], how: str) -> None:
    pids = asleep(f"deep-{how}", wake_crash=how)
    assert server.complete(f"deep-{how}").status_code == 200
    assert pids_of(server, f"deep-{how}") != pids
    assert any("slept and is gone: It " in text for text in texts(server, f"deep-{how}"))


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_one_that_does_not_fall_asleep_is_unloaded(server: Any, wait: Any, running: Any, how: str) -> None:
    uid = server.launch(model_uid=f"awake-{how}", keep_alive=IDLE, sleeps=True, sleep_crash=how)
    (pid,) = pids_of(server, uid)
    wait(lambda: status(server, uid) == "UNLOADED", what="its unloading")
    wait(lambda: not running(pid), what="the end of its process")
    assert server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_one_that_dies_in_its_sleep_is_loaded_by_the_next_request(
    server: Any, asleep: Callable[..., list[int]], wait: Any
) -> None:
    (pid,) = asleep("mortal")
    os.kill(pid, signal.SIGKILL)
    wait(lambda: status(server, "mortal") == "UNLOADED", what="its unloading")
    assert server.complete("mortal").status_code == 200 and pids_of(server, "mortal") != [pid]


def test_another_server_adopts_it_asleep(server: Any, asleep: Callable[..., list[int]]) -> None:
    pids = asleep("heir")
    server.kill()
    server.start()
    assert status(server, "heir") == "ASLEEP" and pids_of(server, "heir") == pids
    assert '"sleeps":1,"wakes":1' in counters(server, "heir") and pids_of(server, "heir") == pids


def test_one_that_shall_stay_loaded_wakes(server: Any, asleep: Callable[..., list[int]], wait: Any) -> None:
    pids = asleep("wanted")
    assert server.client.patch("/v1/models/wanted", json={"keep_alive": None}).status_code == 200
    wait(lambda: status(server, "wanted") == "READY", what="its waking")
    assert pids_of(server, "wanted") == pids


def test_a_renewed_one_is_unloaded(server: Any, asleep: Callable[..., list[int]], wait: Any, running: Any) -> None:
    (pid,) = asleep("renewed")
    assert server.client.post("/v1/models/renewed/renew", timeout=60).status_code == 200
    wait(lambda: not running(pid), what="the end of the former process")
    assert status(server, "renewed") == "UNLOADED" and server.complete("renewed").status_code == 200


def test_one_that_is_pinned_never_sleeps(server: Any) -> None:
    """Without a `keep_alive` the engine is not even asked to prepare for it."""
    uid = server.launch(model_uid="pinned", sleeps=True)
    assert health(server, uid)[1]["can_sleep"] is False
    with httpx.Client(transport=httpx.HTTPTransport(uds=server.socket(uid)), base_url="http://worker") as worker:
        refused = worker.post("/sleep")
    assert refused.status_code == 400 and "cannot sleep" in refused.json()["detail"]
    server.client.delete(f"/v1/models/{uid}")
