"""The server goes and comes back; models do not notice."""

import json
import os
import shutil
import signal
import threading

import httpx


def through_its_own_socket(socket: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://worker", timeout=60)


def test_a_killed_server_is_succeeded_by_one_that_adopts(new_server, read_events, wait) -> None:
    server = new_server()
    uid = server.launch(model_uid="survivor", tokens=300, token_seconds=0.02)
    pid, socket = server.pid(uid), server.socket(uid)
    texts: list[str] = []

    def listen() -> None:
        body = {"model": uid, "prompt": "x", "stream": True}
        with through_its_own_socket(socket) as client:
            with client.stream("POST", "/v1/completions", json=body) as response:
                texts.extend(e["choices"][0]["text"] for e in read_events(response.iter_lines()) if e["choices"])

    listener = threading.Thread(target=listen)
    listener.start()
    wait(lambda: len(texts) > 3, what="the stream")
    server.kill()
    server.start()
    assert server.description(uid)["status"] == "READY"
    assert server.pid(uid) == pid
    assert listener.is_alive(), "the stream ended before the server was back; nothing was shown"
    assert server.complete(uid, "stats").status_code == 200
    listener.join(30)
    assert "".join(texts) == server.complete(uid, "x").json()["choices"][0]["text"]


def test_an_orderly_end_leaves_workers_to_the_successor(new_server) -> None:
    server = new_server()
    uid = server.launch()
    pid = server.pid(uid)
    assert server.stop(signal.SIGTERM) == 0
    server.start()
    assert server.pid(uid) == pid
    assert server.complete(uid).status_code == 200


def test_an_interrupt_ends_the_workers_and_they_come_back_at_the_next_start(new_server, wait, running) -> None:
    server = new_server()
    uid = server.launch()
    pid = server.pid(uid)
    server.stop(signal.SIGINT)
    assert not running(pid)
    server.start()
    wait(lambda: server.description(uid)["status"] == "READY", what="the declared model's return")
    assert server.pid(uid) != pid
    assert server.complete(uid).status_code == 200


def test_a_worker_that_died_meanwhile_is_started_again_with_its_reason(new_server, wait) -> None:
    server = new_server()
    uid = server.launch()
    pid = server.pid(uid)
    server.kill()
    os.kill(pid, signal.SIGKILL)
    server.start()
    wait(lambda: server.description(uid)["status"] == "READY", what="the model's return")
    texts = [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]
    assert any("while no server was there" in text for text in texts)


def test_a_lease_that_nobody_renews_ends_the_worker(new_server, wait, running) -> None:
    server = new_server(ENGINEHOUSE_LEASE_SECONDS="1")
    uid = server.launch()
    pid = server.pid(uid)
    server.kill()
    exits = wait(lambda: list((server.home / "workers").glob("*/exit.json")), what="the lease's end")
    assert not running(pid)
    assert json.loads(exits[0].read_text())["cause"] == "lease"


def test_a_removed_database_loses_nothing_that_runs(new_server, wait) -> None:
    server = new_server()
    uid = server.launch(model_uid="kept")
    pid = server.pid(uid)
    server.kill()
    for file in server.home.glob("enginehouse.db*"):
        file.unlink()
    server.start()
    assert server.pid(uid) == pid
    assert server.complete(uid).status_code == 200
    assert "brings it back" in server.log()


def test_a_damaged_database_is_moved_aside_and_loses_nothing_that_runs(new_server) -> None:
    server = new_server()
    uid = server.launch(model_uid="kept")
    pid = server.pid(uid)
    server.kill()
    for file in server.home.glob("enginehouse.db-*"):
        file.unlink()
    (server.home / "enginehouse.db").write_bytes(b"\x00garbage" * 5000)
    server.start()
    assert server.pid(uid) == pid
    assert list(server.home.glob("enginehouse.db.damaged-*"))
    assert "is damaged" in server.log()
    server.stop(signal.SIGTERM)
    server.start()
    assert server.pid(uid) == pid


def test_a_failed_launch_stays_failed_and_is_shown(new_server) -> None:
    server = new_server()
    server.client.post("/v1/models", json={"model_name": "fake-model", "model_uid": "bad", "load_crash": "raise"})
    server.kill()
    server.start()
    assert server.description("bad")["status"] == "ERROR"
    assert server.description("bad")["error"]


def test_a_worker_folder_that_vanished_does_not_stop_the_server(new_server, wait) -> None:
    server = new_server(ENGINEHOUSE_LEASE_SECONDS="1")
    uid = server.launch()
    server.kill()
    shutil.rmtree(server.home / "workers")
    server.start()
    wait(lambda: server.description(uid)["status"] == "READY", what="the model's return")
    assert server.complete(uid).status_code == 200
