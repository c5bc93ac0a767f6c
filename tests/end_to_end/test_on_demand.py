"""Models that are declared and loaded when somebody asks for them, and unloaded when nobody does."""

import signal
import threading
import time

import httpx

from enginehouse.client import Client


def status(server, uid: str) -> str:
    return str(server.description(uid)["status"])


def texts(server, uid: str) -> list[str]:
    return [event["event_content"] for event in server.client.get(f"/v1/models/{uid}/events").json()]


def test_the_first_request_loads_and_idleness_unloads(server, wait, running) -> None:
    uid = server.launch(model_uid="lazy", on_demand=True, keep_alive=0.3)
    assert status(server, uid) == "UNLOADED" and not list((server.home / "workers").iterdir())
    assert uid in [item["id"] for item in server.client.get("/v1/models").json()["data"]]
    assert server.client.get("/ready").status_code == 200
    assert server.client.get(f"/v1/models/{uid}").json()["keep_alive"] == 0.3
    assert [replica["status"] for replica in server.replicas(uid)] == ["UNLOADED"]
    assert server.complete(uid).status_code == 200
    pid = server.replicas(uid)[0]["pid"]
    wait(lambda: status(server, uid) == "UNLOADED", what="the idle model's unloading")
    wait(lambda: pid is None or not running(pid), what="the end of its process")
    assert server.complete(uid).status_code == 200
    assert any("a request came" in text for text in texts(server, uid))
    assert any("Unloaded after 0.3 s" in text for text in texts(server, uid))
    server.client.delete(f"/v1/models/{uid}")


def test_many_first_requests_load_once(server) -> None:
    uid = server.launch(model_uid="flight", on_demand=True, load_seconds=0.5)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 8
    assert sum("a request came" in text for text in texts(server, uid)) == 1
    assert status(server, uid) == "READY"
    server.client.delete(f"/v1/models/{uid}")


def test_a_running_request_is_not_interrupted_by_idleness(server, wait) -> None:
    uid = server.launch(model_uid="long", keep_alive=0.05, tokens=40, token_seconds=0.03)
    pid = server.replicas(uid)[0]["pid"]
    answer = server.complete(uid)
    assert answer.status_code == 200 and answer.json()["choices"][0]["text"].split()[-1] == "word39"
    assert pid is not None
    wait(lambda: status(server, uid) == "UNLOADED", what="its unloading afterwards")
    server.client.delete(f"/v1/models/{uid}")


def test_unloading_at_once_still_answers_everybody(server) -> None:
    uid = server.launch(model_uid="none", on_demand=True, keep_alive=0)
    for _ in range(3):
        assert server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_waiting_for_a_load_is_bounded(new_server) -> None:
    server = new_server(ENGINEHOUSE_DEMAND_SECONDS="0.3")
    uid = server.launch(model_uid="slow", on_demand=True, load_seconds=30)
    answer = server.complete(uid)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "0.3 s" in answer.json()["detail"]


def test_a_load_that_fails_is_told_to_whoever_waits(server) -> None:
    uid = server.launch(model_uid="broken", on_demand=True, load_crash="raise")
    answer = server.complete(uid)
    assert answer.status_code == 503 and "failed to load" in answer.json()["detail"]
    assert status(server, uid) == "ERROR"
    server.client.delete(f"/v1/models/{uid}")


def test_what_is_loaded_on_demand_comes_back_as_it_was(new_server, wait) -> None:
    server = new_server()
    asleep = server.launch(model_uid="asleep", on_demand=True, keep_alive=600)
    awake = server.launch(model_uid="awake", keep_alive=600)
    pid = server.pid(awake)
    server.kill()
    server.start()
    assert status(server, asleep) == "UNLOADED"
    assert server.pid(awake) == pid and status(server, awake) == "READY"
    server.stop()
    server.start()
    assert status(server, awake) == "UNLOADED", "nobody has asked for it yet"
    assert not list((server.home / "workers").iterdir())
    assert server.complete(awake).status_code == 200
    assert server.complete(asleep).status_code == 200


def test_an_unloaded_model_is_scaled_and_ended(server) -> None:
    uid = server.launch(model_uid="still", on_demand=True)
    assert server.client.post(f"/v1/models/{uid}/replicas", json={}).status_code == 200
    assert status(server, uid) == "UNLOADED" and len(server.replicas(uid)) == 2
    assert server.complete(uid).status_code == 200
    wanted = {"READY", "LOADING", "CREATING"}
    assert len(server.replicas(uid)) == 2 and {one["status"] for one in server.replicas(uid)} <= wanted
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    assert not list((server.home / "workers").iterdir())


def test_the_command_line_declares(server) -> None:
    done = server.cli("launch", "fake-model", "-u", "told", "--on-demand", "--keep-alive", "60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "told" and status(server, "told") == "UNLOADED"
    with Client(server.url) as client:
        assert client.list_models()["told"]["on_demand"] is True
        client.get_model("told").generate("x")
        client.terminate_model("told")


def test_a_server_that_leaves_does_not_wait_for_a_load(new_server, wait) -> None:
    server = new_server()
    uid = server.launch(model_uid="late", on_demand=True, load_seconds=60)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    wait(lambda: status(server, uid) == "LOADING", what="the load's start")
    began = time.monotonic()
    server.stop(signal.SIGTERM)
    asking.join(30)
    assert time.monotonic() - began < 10 and statuses == [503]


def test_what_is_ended_while_it_loads_is_gone_for_those_who_wait(server, wait) -> None:
    uid = server.launch(model_uid="gone", on_demand=True, load_seconds=60)
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses.append(client.post("/v1/completions", json={"model": uid, "prompt": "x"}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    wait(lambda: status(server, uid) == "LOADING", what="the load's start")
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    asking.join(30)
    assert statuses and statuses[0] in (404, 503)
    assert not list((server.home / "workers").iterdir())
