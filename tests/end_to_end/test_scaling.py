"""Replicas come and go while requests run; what was scaled to comes back."""

import os
import signal
import threading

import httpx
import pytest

from enginehouse.client import AsyncClient, Client


def ids(server, uid: str) -> list[int]:
    return [replica["replica_id"] for replica in server.replicas(uid)]


def add(server, uid: str, **body) -> httpx.Response:
    return server.client.post(f"/v1/models/{uid}/replicas", json=body)


def remove(server, uid: str, replica_id: int) -> httpx.Response:
    return server.client.delete(f"/v1/models/{uid}/replicas/{replica_id}")


def test_a_replica_is_added_and_taken_away(server, wait, running) -> None:
    uid = server.launch(model_uid="grows")
    answer = add(server, uid)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"replica_id": 1, "replica_model_uid": "grows-rep1", "worker_address": None}
    assert [replica["status"] for replica in server.replicas(uid)] == ["READY", "READY"]
    first, second = server.pid(uid, 0), server.pid(uid, 1)
    assert first != second and server.description(uid)["replica"] == 2
    assert remove(server, uid, 0).json() == {"remaining_replicas": 1}
    wait(lambda: not running(first), what="the removed replica's end")
    assert ids(server, uid) == [1] and server.pid(uid) == second
    assert server.complete(uid).status_code == 200
    assert add(server, uid).json()["replica_id"] == 0
    texts = [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]
    assert any("Scaled up" in text for text in texts) and any("Scaled down" in text for text in texts)
    server.client.delete(f"/v1/models/{uid}")


def test_the_last_replica_ends_the_model(server) -> None:
    uid = server.launch(model_uid="last")
    assert remove(server, uid, 0).json() == {"remaining_replicas": 0}
    assert server.complete(uid).status_code == 404
    assert not list((server.home / "workers").iterdir())


def test_what_cannot_be_scaled_says_why(server) -> None:
    uid = server.launch(model_uid="stiff")
    assert add(server, "nobody").status_code == 400
    assert remove(server, "nobody", 0).status_code == 400
    answer = remove(server, uid, 7)
    assert answer.status_code == 400 and "it has 0" in answer.json()["detail"]
    for config in (
        {"devices": [{"gpu_idx": [0]}]},
        {"wings": 2},
        {"devices": [{}, {}]},
        {"devices": [{"worker_ip": "x"}]},
    ):
        refused = add(server, uid, replica_config=config)
        assert refused.status_code == 400 and refused.json()["detail"], config
    assert ids(server, uid) == [0]
    server.client.delete(f"/v1/models/{uid}")


def test_no_request_is_lost_while_replicas_come_and_go(server) -> None:
    uid = server.launch(model_uid="busy", replica=2, tokens=5, token_seconds=0.005)
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not over.is_set():
                answers.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert add(server, uid).status_code == 200
        assert remove(server, uid, ids(server, uid)[0]).status_code == 200
    over.set()
    for thread in threads:
        thread.join(30)
    assert len(answers) > 20 and set(answers) == {200}
    server.client.delete(f"/v1/models/{uid}")


def test_a_removed_replica_finishes_its_stream(new_server, read_events, wait, running) -> None:
    server = new_server(ENGINEHOUSE_DRAIN_SECONDS="0.2")  # shorter than the stream: draining the worker is not enough
    uid = server.launch(model_uid="streams", tokens=60, token_seconds=0.02)
    with server.client.stream("POST", "/v1/completions", json={"model": uid, "prompt": "x", "stream": True}) as answer:
        events = read_events(answer.iter_lines())
        texts = [next(events)["choices"][0]["text"]]
        pid = server.pid(uid)
        with httpx.Client(base_url=server.url, timeout=60) as other:
            assert other.post(f"/v1/models/{uid}/replicas", json={}).status_code == 200
            assert other.delete(f"/v1/models/{uid}/replicas/0").json() == {"remaining_replicas": 1}
        texts += [event["choices"][0]["text"] for event in events if event["choices"]]
    assert "".join(texts).split()[-1] == "word59"
    wait(lambda: not running(pid), what="the drained replica's end")


def test_a_replica_that_does_not_come_up_leaves_the_model_as_it_was(server) -> None:
    uid = server.launch(model_uid="once", load_seconds=2.0)
    pid = server.pid(uid)
    answers: list[httpx.Response] = []
    adding = threading.Thread(target=lambda: answers.append(add(server, uid)))
    adding.start()
    os.kill(server.pid(uid, 1), signal.SIGKILL)
    adding.join(30)
    assert answers[0].status_code == 503 and "did not come up" in answers[0].json()["detail"]
    assert ids(server, uid) == [0] and server.pid(uid) == pid
    assert server.complete(uid).status_code == 200
    assert remove(server, uid, 1).status_code == 400
    server.client.delete(f"/v1/models/{uid}")


def test_what_was_scaled_to_comes_back_with_its_workers(new_server, running) -> None:
    server = new_server()
    uid = server.launch(model_uid="scaled", replica=3)
    assert remove(server, uid, 0).status_code == 200
    assert remove(server, uid, 2).status_code == 200
    assert add(server, uid).status_code == 200
    before = {replica["replica_id"]: replica["pid"] for replica in server.replicas(uid)}
    assert set(before) == {0, 1} or set(before) == {1, 2} or set(before) == {1, 3}
    server.kill()
    server.start()
    assert {replica["replica_id"]: replica["pid"] for replica in server.replicas(uid)} == before
    server.kill()
    for file in server.home.glob("enginehouse.db*"):
        file.unlink()
    server.start()
    after = {replica["replica_id"]: replica["pid"] for replica in server.replicas(uid)}
    assert before.items() <= after.items()


def test_a_worker_that_is_not_wanted_any_more_is_ended_at_the_next_start(new_server, wait, running) -> None:
    server = new_server()
    uid = server.launch(model_uid="shrunk", replica=2, tokens=400, token_seconds=0.05)
    pids = {replica["replica_id"]: replica["pid"] for replica in server.replicas(uid)}
    streams = [
        httpx.Client(base_url=server.url, timeout=60).stream(
            "POST", "/v1/completions", json={"model": uid, "prompt": "x", "stream": True}
        )
        for _ in range(2)
    ]
    for stream in streams:
        next(stream.__enter__().iter_lines())
    assert remove(server, uid, 0).status_code == 200
    assert running(pids[0]), "it is still answering"
    server.kill()
    server.variables["ENGINEHOUSE_DRAIN_SECONDS"] = "0.1"
    server.start()
    wait(lambda: not running(pids[0]), what="the end of what nobody wants")
    assert ids(server, uid) == [1] and server.pid(uid) == pids[1]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_clients_scale(server, asynchronous) -> None:
    uid = server.launch(model_uid=f"client-{asynchronous}")
    if asynchronous:
        async with AsyncClient(server.url) as client:
            assert (await client.add_model_replica(uid))["replica_id"] == 1
            assert await client.terminate_model_replica(uid, 1) == 1
            assert await client.terminate_model_replica(uid, 0) == 0
    else:
        with Client(server.url) as client:
            assert client.add_model_replica(uid)["replica_id"] == 1
            assert client.terminate_model_replica(uid, 1) == 1
            assert client.terminate_model_replica(uid, 0) == 0


def test_the_command_line_scales(server) -> None:
    uid = server.launch(model_uid="cli")
    up = server.cli("scale", uid, "3")
    assert up.returncode == 0, up.stderr
    assert ids(server, uid) == [0, 1, 2]
    assert server.cli("scale", uid, "1").returncode == 0
    assert ids(server, uid) == [0]
    assert server.cli("scale", "nobody", "2").returncode != 0
    assert server.cli("scale", uid, "0").returncode == 2
    server.client.delete(f"/v1/models/{uid}")
