"""A declared model is changed while its workers run on, and no request is lost."""

import os
import re
import signal
import threading

import httpx
import pytest


def change(server, uid: str, **fields) -> httpx.Response:
    return server.client.patch(f"/v1/models/{uid}", json=fields)


def pids(server, uid: str) -> list[int]:
    return [replica["pid"] for replica in server.replicas(uid)]


def queued(server, uid: str) -> int:
    page = server.client.get("/metrics").text
    line = re.search(rf'^enginehouse_requests_queued{{model="{uid}"}} (.+)$', page, re.MULTILINE)
    return int(float(line[1])) if line else 0


@pytest.fixture
def asking(server):
    """Begins requests in threads of their own; `answers` holds the statuses of those that ended."""
    answers: list[int] = []
    threads: list[threading.Thread] = []

    def ask(uid: str, **fields) -> list[int]:
        def run() -> None:
            with httpx.Client(base_url=server.url, timeout=60) as client:
                answer = client.post("/v1/completions", json={"model": uid, "prompt": "x", **fields})
                answers.append(answer.status_code)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return answers

    yield ask
    for thread in threads:
        thread.join(60)


def test_replicas_come_and_go_under_load(server, wait, running) -> None:
    uid = server.launch(model_uid="resized", tokens=5, token_seconds=0.005)
    [first] = pids(server, uid)
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not over.is_set():
                answers.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    answer = change(server, uid, replica=3)
    assert answer.status_code == 200, answer.text
    assert answer.json()["launch"]["replica"] == 3 and answer.json()["status"] == "READY"
    grown = pids(server, uid)
    assert len(grown) == 3 and grown[0] == first
    assert change(server, uid, replica=1, request_limits=50).status_code == 200
    assert pids(server, uid) == [first]
    wait(lambda: not running(grown[1]) and not running(grown[2]), what="the end of what is not wanted any more")
    over.set()
    for thread in threads:
        thread.join(30)
    assert set(answers) == {200}
    server.client.delete(f"/v1/models/{uid}")


def test_a_limit_taken_back_lets_in_who_waits(server, asking, wait) -> None:
    uid = server.launch(model_uid="opened", request_limits=1, queue_length=2, tokens=300, token_seconds=0.02)
    body = {"model": uid, "prompt": "x", "stream": True}
    with server.client.stream("POST", "/v1/completions", json=body) as answer:  # for six seconds
        lines = answer.iter_lines()
        next(lines)
        with httpx.Client(base_url=server.url, timeout=60) as other:
            answers = asking(uid, max_tokens=1)
            wait(lambda: 'queued{model="opened"} 1.0' in other.get("/metrics").text, what="one who waits")
            answer = other.patch(f"/v1/models/{uid}", json={"request_limits": None, "queue_length": None})
            assert answer.status_code == 200
            wait(lambda: answers == [200], what="the answer of the one that waited")
            assert other.patch(f"/v1/models/{uid}", json={"request_limits": 0}).status_code == 200
            refused = other.post("/v1/completions", json={"model": uid, "prompt": "x"})
            assert refused.status_code == 429
        rest = [line for line in lines if line]
    assert "word299" in "".join(rest) and "error" not in "".join(rest)
    server.client.delete(f"/v1/models/{uid}")


def test_a_larger_limit_lets_in_as_many_more(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_DRAIN_SECONDS="0.1")
    uid = server.launch(model_uid="wider", request_limits=1, queue_length=4, first_token_seconds=60)

    def ask() -> None:
        httpx.post(f"{server.url}/v1/completions", json={"model": uid, "prompt": "x"}, timeout=90)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait(lambda: queued(server, uid) == 2, what="two that wait")
    assert change(server, uid, request_limits=2).status_code == 200
    wait(lambda: queued(server, uid) == 1, what="one more let in")
    assert change(server, uid, request_limits=3).status_code == 200
    wait(lambda: queued(server, uid) == 0, what="all let in")
    server.client.delete(f"/v1/models/{uid}")
    for thread in threads:
        thread.join(30)


def test_keep_alive_comes_and_goes(server, wait) -> None:
    uid = server.launch(model_uid="napping")
    [pid] = pids(server, uid)
    assert change(server, uid, keep_alive=0.1).status_code == 200
    wait(lambda: server.description(uid)["status"] == "UNLOADED", what="its unloading")
    assert server.complete(uid).status_code == 200
    assert change(server, uid, keep_alive=0.1, on_demand=True).status_code == 200
    wait(lambda: server.description(uid)["status"] == "UNLOADED", what="its unloading")
    assert change(server, uid, keep_alive=None, on_demand=False).json()["launch"] == {
        "model_uid": uid,
        "model_name": "fake-model",
    }
    wait(lambda: server.description(uid)["status"] == "READY", what="its loading, for good")
    assert pids(server, uid) != [pid]
    server.client.delete(f"/v1/models/{uid}")


def test_what_cannot_be_changed_says_why(server) -> None:
    uid = server.launch(model_uid="fixed")
    before = pids(server, uid)
    for fields, said in (
        ({"tokens": 3}, "tokens cannot be changed while the model runs"),
        ({"model_name": "other"}, "needs another worker"),
        ({"replica": 0}, "replica"),
        ({"replica": 2.5}, "replica"),
        ({"request_limits": -1}, "request_limits"),
        ({"keep_alive": "long"}, "keep_alive"),
    ):
        refused = change(server, uid, **fields)
        assert refused.status_code == 400 and said in refused.json()["detail"], fields
    assert server.client.patch(f"/v1/models/{uid}", json=[1]).status_code == 400
    assert change(server, "nobody", replica=2).status_code == 400
    assert change(server, uid).json()["launch"] == {"model_uid": uid, "model_name": "fake-model"}
    assert pids(server, uid) == before
    server.client.delete(f"/v1/models/{uid}")


def test_one_that_is_down_or_loading_is_not_changed(server, wait) -> None:
    slow = server.client.post(
        "/v1/models?wait_ready=false", json={"model_name": "fake-model", "model_uid": "slow", "load_seconds": 60}
    )
    assert slow.status_code == 200
    refused = change(server, "slow", replica=2)
    assert refused.status_code == 503 and "scale it when it is ready" in refused.json()["detail"]
    server.client.delete("/v1/models/slow")
    assert server.client.post(
        "/v1/models", json={"model_name": "fake-model", "model_uid": "broken", "load_crash": "raise"}
    ).is_error
    assert change(server, "broken", replica=2).status_code == 409
    server.client.delete("/v1/models/broken")


def test_an_added_replica_that_does_not_come_up_is_taken_back(server, wait) -> None:
    uid = server.launch(model_uid="grew", load_seconds=2.0)
    answers: list[httpx.Response] = []
    changing = threading.Thread(target=lambda: answers.append(change(server, uid, replica=2, request_limits=9)))
    changing.start()
    os.kill(server.pid(uid, 1), signal.SIGKILL)
    changing.join(60)
    assert answers[0].status_code == 503 and "did not come up" in answers[0].json()["detail"]
    declared = {
        each["model_uid"]: each["launch"] for each in server.client.get("/v1/declarations").json()["declarations"]
    }
    assert declared[uid]["request_limits"] == 9 and "replica" not in declared[uid]
    server.client.delete(f"/v1/models/{uid}")


def test_a_change_outlives_the_server(new_server) -> None:
    server = new_server()
    uid = server.launch(model_uid="kept", request_limits=1)
    assert change(server, uid, replica=2, request_limits=0).status_code == 200
    before = pids(server, uid)
    server.kill()
    server.start()
    assert pids(server, uid) == before and server.complete(uid).status_code == 429
