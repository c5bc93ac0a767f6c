"""What breaks, breaks alone: workers that die, hang or will not go, clients that leave, homes that are shared."""

import json
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest


def stats(server, uid: str) -> dict:
    return json.loads(server.complete(uid, "stats").json()["choices"][0]["text"])


def test_a_worker_killed_while_idle_comes_back(server, wait) -> None:
    uid = server.launch(model_uid="phoenix")
    old = server.pid(uid)
    os.kill(old, signal.SIGKILL)
    replica = wait(
        lambda: next((r for r in server.replicas(uid) if r["status"] == "READY" and r["pid"] != old), None),
        what="a new worker",
    )
    assert server.complete(uid).status_code == 200
    assert replica["restarts"] == 1
    events = [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]
    assert any("SIGKILL" in text for text in events)
    server.client.delete(f"/v1/models/{uid}")


def test_a_worker_that_dies_in_mid_stream_ends_the_stream_with_an_error(server, read_events) -> None:
    uid = server.launch(model_uid="fragile", tokens=20, token_seconds=0.005, crash_at_token=5)
    with server.client.stream(
        "POST", "/v1/completions", json={"model": uid, "prompt": "x", "stream": True}
    ) as response:
        lines = list(response.iter_lines())
    assert "event: error" in lines
    last = list(read_events(iter(lines)))[-1]
    assert last["error"]["code"] == "worker_lost" and last["detail"]
    server.client.delete(f"/v1/models/{uid}")


def test_a_worker_that_dies_in_mid_event_leaves_a_stream_that_can_be_read(server, read_events) -> None:
    uid = server.launch(model_uid="torn", tokens=20, token_seconds=0.02, crash_at_token=5, crash_in_event=True)
    body = {"model": uid, "prompt": "x", "stream": True}
    with server.client.stream("POST", "/v1/completions", json=body) as response:
        lines = list(response.iter_lines())
    *pieces, last = read_events(iter(lines))  # every event is JSON
    assert [piece["choices"][0]["text"] for piece in pieces] == [f"word{number} " for number in range(4)]
    assert last["error"]["code"] == "worker_lost"
    server.client.delete(f"/v1/models/{uid}")


def test_a_worker_that_dies_before_the_first_byte_gives_503(server) -> None:
    uid = server.launch(model_uid="brittle", crash_at_token=1)
    answer = server.complete(uid)
    assert answer.status_code == 503 and answer.json()["error"]["code"] in {"worker_lost", "model_loading"}
    assert "Retry-After" in answer.headers
    server.client.delete(f"/v1/models/{uid}")


def test_with_a_second_replica_nobody_notices(server, wait) -> None:
    uid = server.launch(model_uid="twins", replica=2)
    for _ in range(3):
        wait(lambda: all(replica["status"] == "READY" for replica in server.replicas(uid)), what="both replicas")
        os.kill(server.pid(uid), signal.SIGKILL)
        assert server.complete(uid).status_code == 200
        wait(lambda: server.replicas(uid)[0]["status"] != "READY", what="the death to be noticed")
    server.client.delete(f"/v1/models/{uid}")


def test_restarts_are_bounded_and_the_reason_is_kept(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_RESTART_LIMIT="2", ENGINEHOUSE_RESTART_SECONDS="0.01")
    uid = server.launch(model_uid="doomed")
    for _ in range(3):
        pid = wait(lambda: next((r["pid"] for r in server.replicas(uid) if r["status"] == "READY"), 0))
        os.kill(pid, signal.SIGKILL)
        wait(lambda pid=pid: not any(r["pid"] == pid for r in server.replicas(uid)), what="the death to be noticed")
    wait(lambda: server.description(uid)["status"] == "ERROR", what="giving up")
    assert "3 times in a row" in server.description(uid)["error"]
    answer = server.complete(uid)
    assert answer.status_code == 503 and "SIGKILL" in answer.json()["detail"]


def test_a_client_that_leaves_in_mid_stream_stops_the_engine(server, wait) -> None:
    uid = server.launch(model_uid="left", tokens=100_000, token_seconds=0.002)
    with server.client.stream(
        "POST", "/v1/completions", json={"model": uid, "prompt": "x", "stream": True}
    ) as response:
        next(response.iter_lines())
    wait(lambda: stats(server, uid)["cancelled"] == 1, what="the engine to stop")
    generated = stats(server, uid)["tokens_generated"]
    assert generated < 50_000
    server.client.delete(f"/v1/models/{uid}")


def test_a_client_that_leaves_while_it_waits_stops_the_engine(server, wait) -> None:
    uid = server.launch(model_uid="impatient", tokens=100_000, token_seconds=0.002)

    def left() -> bool:  # one that left before the engine had it counts for nothing
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{server.url}/v1/completions", json={"model": uid, "prompt": "x"}, timeout=0.3)
        return stats(server, uid)["cancelled"] >= 1

    wait(left, what="the engine to stop")
    server.client.delete(f"/v1/models/{uid}")


def test_a_worker_that_ignores_sigterm_is_killed(new_server, running) -> None:
    server = new_server(ENGINEHOUSE_DRAIN_SECONDS="0.5")
    uid = server.launch(model_uid="stubborn", ignore_sigterm=True)
    pid = server.pid(uid)
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    assert not running(pid)


def test_a_running_request_is_finished_before_its_worker_is_ended(server, wait) -> None:
    uid = server.launch(model_uid="drained", tokens=40, token_seconds=0.02)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(server.complete(uid, "x")))
    thread.start()
    wait(lambda: stats(server, uid)["started"] >= 2, what="the request's start")
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    thread.join(20)
    assert answers[0].status_code == 200 and answers[0].json()["usage"]["completion_tokens"] == 40


def test_two_who_end_the_same_model_both_wait_for_its_end(server, running) -> None:
    uid = server.launch(model_uid="ended-twice", tokens=30, token_seconds=0.02)
    pid = server.pid(uid)
    with ThreadPoolExecutor(3) as pool:
        answer = pool.submit(server.complete, uid, "x")
        statuses = [pool.submit(server.client.delete, f"/v1/models/{uid}") for _ in range(2)]
        assert {status.result().status_code for status in statuses} <= {200, 400}
        assert not running(pid)
        assert answer.result().status_code in {200, 404}


def test_one_that_stalls_hurts_only_itself(server) -> None:
    uid = server.launch(model_uid="stalls", tokens=5, stall_at_token=2)
    other = server.launch(model_uid="fine")
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{server.url}/v1/completions", json={"model": uid, "prompt": "x"}, timeout=0.3)
    assert server.complete(other).status_code == 200
    for gone in (uid, other):
        server.client.delete(f"/v1/models/{gone}")


def test_one_that_refuses_gives_its_own_words(server) -> None:
    uid = server.launch(model_uid="refuses", refuse=True)
    answer = server.complete(uid)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"
    server.client.delete(f"/v1/models/{uid}")


def test_a_thousand_connections_opened_and_dropped(server) -> None:
    for _ in range(10):
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for number, connection in enumerate(connections):
            if number % 2:
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
            connection.close()
    assert server.client.get("/v1/models").status_code == 200


def test_two_servers_on_one_home(server, unused_port) -> None:
    second = server.run_beside(unused_port)
    assert second.wait(30) == 1
    assert "in use by process" in server.log()
    assert server.client.get("/health").status_code == 200


def test_a_home_with_a_long_path_works(tmp_path, new_server) -> None:
    server = new_server(ENGINEHOUSE_HOME=str(tmp_path / ("long" * 30)))
    uid = server.launch()
    assert len(server.socket(uid)) < 104
    assert server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_when_no_socket_path_is_short_enough_the_launch_says_so(tmp_path, new_server) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    server = new_server(ENGINEHOUSE_HOME=str(tmp_path / ("long" * 30)), TMPDIR=str(deep))
    answer = server.client.post("/v1/models", json={"model_name": "fake-model"})
    assert answer.status_code == 503 and "TMPDIR" in answer.json()["detail"]


def test_a_broken_plugin_leaves_the_server_up(tmp_path, new_server) -> None:
    site = tmp_path / "site"
    info = site / "bad_apple-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "bad_apple.py").write_text("raise RuntimeError('rotten')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-apple\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\nbad_apple = bad_apple\n")
    server = new_server(PYTHONPATH=str(site))
    plugins = {plugin["name"]: plugin for plugin in server.client.get("/v1/plugins").json()["plugins"]}
    assert plugins["bad_apple"]["state"] == "quarantined" and "rotten" in plugins["bad_apple"]["reason"]
    assert server.complete(server.launch()).status_code == 200
