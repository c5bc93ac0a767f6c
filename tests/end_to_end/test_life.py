"""A model's life through the API: launched, listed, used, ended."""

import threading
from pathlib import Path

import httpx


def test_a_model_is_launched_used_and_ended(server, running) -> None:
    uid = server.launch(model_uid="life")
    listed = {item["id"]: item for item in server.client.get("/v1/models").json()["data"]}
    assert listed[uid]["model_engine"] == "fake" and listed[uid]["object"] == "model"
    description = server.client.get(f"/v1/models/{uid}").json()
    assert description["model_type"] == "LLM" and "generate" in description["model_ability"]
    answer = server.complete(uid, "hello", max_tokens=4)
    assert answer.status_code == 200 and answer.json()["choices"][0]["text"]
    folder = server.home / "workers"
    assert len(list(folder.iterdir())) == 1
    assert next(folder.iterdir()).stat().st_mode & 0o777 == 0o700
    pid = server.pid(uid)
    ended = server.client.delete(f"/v1/models/{uid}")
    assert (ended.status_code, ended.json()) == (200, None)
    assert not running(pid)
    assert list(folder.iterdir()) == []
    assert server.client.delete(f"/v1/models/{uid}").status_code == 400
    assert server.complete(uid).status_code == 404


def test_twenty_lives_leave_nothing_behind(server, wait) -> None:
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        server.client.delete(f"/v1/models/{server.launch(model_uid='again')}")
    assert list((server.home / "workers").iterdir()) == []
    assert server.client.get("/v1/models", params={"all": "true"}).json()["data"] == []
    wait(lambda: len(list(descriptors.iterdir())) <= before + 3, what="closed descriptors")


def test_a_taken_uid_is_a_conflict_and_a_default_uid_is_made_unique(server) -> None:
    first = server.launch()
    taken = server.client.post("/v1/models", json={"model_name": "fake-model", "model_uid": first})
    assert taken.status_code == 409 and first in taken.json()["detail"]
    second = server.launch()
    assert second.startswith("fake-model-") and second != first
    for uid in (first, second):
        server.client.delete(f"/v1/models/{uid}")


def test_launches_side_by_side_get_uids_of_their_own(server) -> None:
    uids: list[str] = []
    threads = [threading.Thread(target=lambda: uids.append(server.launch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(uids)) == 4
    for uid in uids:
        assert server.client.delete(f"/v1/models/{uid}").status_code == 200


def test_a_launch_that_cannot_load_says_why_and_keeps_the_reason(server) -> None:
    answer = server.client.post(
        "/v1/models", json={"model_name": "fake-model", "model_uid": "bad", "load_crash": "raise"}
    )
    assert answer.status_code == 503
    assert "'bad' could not be launched" in answer.json()["detail"]
    description = server.description("bad")
    assert description["status"] == "ERROR" and description["error"]
    assert any(event["event_type"] == "ERROR" for event in server.client.get("/v1/models/bad/events").json())
    assert server.complete("bad").status_code == 503
    assert server.launch(model_uid="bad") == "bad"  # a new launch takes the failed one's place
    server.client.delete("/v1/models/bad")


def test_a_worker_that_is_killed_while_loading_says_so(server) -> None:
    answer = server.client.post(
        "/v1/models", json={"model_name": "fake-model", "model_uid": "segv", "load_crash": "segv"}
    )
    assert answer.status_code == 503 and "SIGSEGV" in answer.json()["detail"]
    server.client.delete("/v1/models/segv")


def test_while_it_loads_requests_are_told_when_to_come_again(server, wait) -> None:
    body = {"model_name": "fake-model", "model_uid": "slow", "load_seconds": 60}
    assert server.client.post("/v1/models", params={"wait_ready": "false"}, json=body).json() == {"model_uid": "slow"}
    answer = server.complete("slow")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    progress = wait(
        lambda: (p := server.client.get("/v1/models/slow/progress").json())["stage"] != "pending" and p,
        what="the launch's start",
    )
    assert 0 <= progress["progress"] < 1
    assert server.client.get("/ready").status_code == 503
    assert server.client.post("/v1/models/slow/cancel").status_code == 200
    wait(lambda: server.complete("slow").status_code == 404, what="the cancelled launch's end")
    assert list((server.home / "workers").iterdir()) == []


def test_unknown_things_are_named(server) -> None:
    for body, word in [
        ({"model_name": "nobody"}, "nobody"),
        ({"model_name": "fake-model", "model_engine": "steam"}, "steam"),
        ({"model_name": "fake-model", "tokenz": 3}, "tokens"),
        ({"model_name": "fake-model", "model_type": "smell"}, "smell"),
        ({}, "model_name"),
    ]:
        answer = server.client.post("/v1/models", json=body)
        assert answer.status_code == 400, answer.text
        assert word in answer.json()["detail"] and word in answer.json()["error"]["message"]


def test_two_replicas_share_the_work(server) -> None:
    uid = server.launch(model_uid="pair", replica=2)
    assert len({replica["pid"] for replica in server.replicas(uid)}) == 2
    assert server.complete(uid).status_code == 200
    server.client.delete(f"/v1/models/{uid}")


def test_plugins_are_listed(server) -> None:
    plugins = {plugin["name"]: plugin for plugin in server.client.get("/v1/plugins").json()["plugins"]}
    assert plugins["builtin"]["state"] == "loaded"
    assert "fake" in plugins["fake_engine"]["contributes"]["engines"]


def test_openapi_names_real_schemas(server) -> None:
    document = server.client.get("/openapi.json").json()
    chat = document["paths"]["/v1/chat/completions"]["post"]
    body = chat["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert "messages" in document["components"]["schemas"][body]["properties"]
    assert "200" in chat["responses"]


def test_metrics_count_requests(server) -> None:
    uid = server.launch(model_uid="metered")
    server.complete(uid)
    text = server.client.get("/metrics").text
    assert 'model="metered"' in text
    server.client.delete(f"/v1/models/{uid}")


def test_the_server_holds_no_engine_library(server) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "libtorch" not in maps and "transformers" not in maps


def test_a_stream_arrives_piece_by_piece(server, read_events) -> None:
    uid = server.launch(model_uid="streamed", tokens=5, token_seconds=0.01)
    with server.client.stream(
        "POST", "/v1/completions", json={"model": uid, "prompt": "x", "stream": True}
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        pieces = list(read_events(response.iter_lines()))
    text = "".join(piece["choices"][0]["text"] for piece in pieces if piece["choices"])
    assert text == server.complete(uid, "x").json()["choices"][0]["text"]
    server.client.delete(f"/v1/models/{uid}")


def test_health_needs_no_model(server) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/v1/cluster/auth").json() == {"auth": False}
