"""A file of models, made true by a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from enginehouse.client import AsyncClient, Client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.yaml"


@pytest.fixture(autouse=True)
def emptied(server):
    """Each test begins and ends with nothing declared."""
    yield
    for uid in names(server):
        server.client.delete(f"/v1/models/{uid}")


def names(server) -> list[str]:
    return [each["model_uid"] for each in server.client.get("/v1/declarations").json()["declarations"]]


def write(file: Path, *models: dict) -> None:
    file.write_text(json.dumps({"models": models}))


def test_a_file_is_applied_changed_and_exported(server, file, running, wait) -> None:
    first, second = {"model_name": "fake-model", "model_uid": "a"}, {"model_name": "fake-model", "model_uid": "b"}
    write(file, first, {**second, "tokens": 3})
    ended = server.cli("diff", "-f", str(file))
    assert ended.returncode == 4 and ended.stdout == "+ a: launch\n+ b: launch\n"
    ended = server.cli("apply", "-f", str(file))
    assert ended.returncode == 0, ended.stderr
    assert len(server.complete("b").json()["choices"][0]["text"].split()) == 3
    assert server.cli("diff", "-f", str(file)).returncode == 0

    before = server.pid("a"), server.pid("b")
    write(file, first, {**second, "tokens": 4})
    ended = server.cli("apply", "-f", str(file))
    assert ended.returncode == 2 and "--yes" in ended.stderr
    assert running(before[1])
    ended = server.cli("apply", "-f", str(file), "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "~ b: launch again (ready)\n    options.tokens: 3 -> 4\n" in ended.stderr
    assert "b: has new workers" in ended.stderr
    assert server.pid("a") == before[0] and server.pid("b") != before[1]
    wait(lambda: not running(before[1]), what="the end of the former worker")
    assert len(server.complete("b").json()["choices"][0]["text"].split()) == 4

    exported = server.cli("export")
    assert exported.stdout == (
        "models:\n- model_uid: a\n  model_name: fake-model\n"
        "- model_uid: b\n  model_name: fake-model\n  options:\n    tokens: 4\n"
    )
    file.write_text(exported.stdout)
    assert "Nothing to do" in server.cli("apply", "-f", str(file)).stderr
    assert json.loads(server.cli("export", "--json").stdout)["models"][0] == {**first}


def test_what_needs_no_other_worker_is_changed_while_it_runs(server, file, wait) -> None:
    model = {"model_name": "fake-model", "model_uid": "a"}
    server.launch(model_uid="a")
    pid = server.pid("a")
    write(file, {**model, "replica": 2, "request_limits": 0, "keep_alive": 600})
    told = server.cli("diff", "-f", str(file))
    assert told.returncode == 4 and told.stdout.startswith("~ a: change in place (ready)\n    keep_alive: ")
    ended = server.cli("apply", "-f", str(file))  # nothing ends, so nobody is asked
    assert ended.returncode == 0, ended.stderr
    assert [each["status"] for each in server.replicas("a")] == ["READY", "READY"] and server.pid("a") == pid
    assert server.complete("a").status_code == 429
    assert server.cli("diff", "-f", str(file)).returncode == 0
    write(file, model)
    assert server.cli("apply", "-f", str(file)).returncode == 0
    assert [each["pid"] for each in server.replicas("a")] == [pid] and server.complete("a").status_code == 200


def test_one_that_is_loading_is_changed_when_it_has_loaded(server, file) -> None:
    write(file, {"model_name": "fake-model", "model_uid": "slow", "load_seconds": 1})
    assert server.cli("apply", "-f", str(file), "--no-wait").returncode == 0
    write(file, {"model_name": "fake-model", "model_uid": "slow", "load_seconds": 1, "request_limits": 0})
    ended = server.cli("apply", "-f", str(file))
    assert ended.returncode == 0, ended.stderr
    assert server.complete("slow").status_code == 429


def test_what_the_file_does_not_name_stays_unless_pruned(server, file) -> None:
    server.launch(model_uid="old")
    write(file, {"model_name": "fake-model", "model_uid": "new"})
    assert server.cli("apply", "-f", str(file)).returncode == 0
    assert names(server) == ["old", "new"]
    ended = server.cli("diff", "-f", str(file), "--prune", "--json")
    assert ended.returncode == 4
    assert [(step["step"], step["model_uid"]) for step in json.loads(ended.stdout)] == [("end", "old"), ("same", "new")]
    assert server.cli("apply", "-f", str(file), "--prune", "--yes").returncode == 0
    assert names(server) == ["new"]


def test_what_is_refused_ends_nothing_and_keeps_nothing_else_from_coming(server, file) -> None:
    server.launch(model_uid="good")
    process = server.pid("good")
    write(
        file,
        {"model_name": "fake-model", "model_uid": "good", "wings": 2},
        {"model_name": "nobody-knows", "model_uid": "lost"},
        {"model_name": "fake-model", "model_uid": "dies", "load_crash": "raise"},
        {"model_name": "fake-model", "model_uid": "comes"},
    )
    ended = server.cli("apply", "-f", str(file), "--yes")
    assert ended.returncode == 1 and "3 of 4 models" in ended.stderr
    assert "good: " in ended.stderr and "wings" in ended.stderr and "dies failed to launch" in ended.stderr
    assert server.pid("good") == process and server.complete("comes").status_code == 200
    write(file, {"model_name": "fake-model", "model_uid": "dies"})
    assert server.cli("apply", "-f", str(file), "--yes").returncode == 0
    assert server.complete("dies").status_code == 200


def test_a_faulty_file_changes_nothing(server, file) -> None:
    write(file, {"model_name": "fake-model"}, {"model_name": "fake-model", "model_uid": "x", "replica": "many"})
    for command in (["diff"], ["apply", "--yes"]):
        ended = server.cli(*command, "-f", str(file))
        assert ended.returncode == 2 and "models[1]: This launch cannot be read" in ended.stderr
    assert names(server) == []


def test_an_apply_that_does_not_wait_declares(server, file, wait) -> None:
    write(file, {"model_name": "fake-model", "model_uid": "slow", "load_seconds": 1})
    assert server.cli("apply", "-f", str(file), "--no-wait").returncode == 0
    assert names(server) == ["slow"]
    assert server.cli("diff", "-f", str(file)).returncode == 0
    wait(lambda: server.description("slow")["status"] == "READY")


async def test_both_clients_list_what_is_declared_and_scaling_shows(server) -> None:
    server.launch(model_uid="one", request_limits=3)
    server.client.post("/v1/models/one/replicas", json={})
    launch = {"model_uid": "one", "model_name": "fake-model", "replica": 2, "request_limits": 3}
    with Client(server.url) as client:
        assert client.list_declarations() == [{"model_uid": "one", "status": "READY", "launch": launch}]
    async with AsyncClient(server.url) as client:
        assert (await client.list_declarations())[0]["launch"] == launch


def test_only_an_administrator_reads_what_is_declared(new_server) -> None:
    locked = new_server(ENGINEHOUSE_REQUIRE_KEY="1")
    assert locked.client.get("/v1/declarations").status_code == 401
