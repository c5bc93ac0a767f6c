"""Routes of what is started with the server, of launches of before, and of environments."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from enginehouse.host.environments.shelf import EnvironmentRecord
from enginehouse.sdk import Lock

FAKE = {"model_name": "fake-model", "model_engine": "fake"}


async def call(gateway, method, path, body=None):
    data = None if body is None else json.dumps(body)
    async with gateway.session.request(method, path, data=data) as response:
        return response.status, await response.json()


async def entries(gateway):
    _, answer = await gateway.get("/v1/autostart/models")
    return {one["model_uid"]: one for one in answer["models"]}


async def ready(gateway, uid):
    return (await gateway.get(f"/v1/models/{uid}"))[0] == 200


async def test_what_is_declared_is_started_with_the_server(gateway):
    assert (await call(gateway, "POST", "/v1/models", {**FAKE, "envs": {"TOKEN": "s3cret"}, "load_seconds": 0.01}))[
        0
    ] == 200
    one = (await entries(gateway))["fake-model"]
    assert (one["enabled"], one["priority"], one["max_retries"], one["retry_interval_seconds"]) == (True, 100, 3, 30)
    assert one["launch"]["load_seconds"] == 0.01
    assert one["launch"]["envs"] == {"TOKEN": "******"}
    assert "s3cret" not in json.dumps(one)
    _, summary = await gateway.get("/v1/autostart/models/summary")
    assert [(one["model_uid"], one["status"]) for one in summary["models"]] == [("fake-model", "READY")]
    assert "launch" not in summary["models"][0]


async def test_what_was_shown_can_be_sent_back(gateway):
    await call(gateway, "POST", "/v1/models", {**FAKE, "envs": {"TOKEN": "s3cret"}})
    shown = (await entries(gateway))["fake-model"]
    status, answer = await call(gateway, "POST", "/v1/autostart/models", {"priority": 7, "launch": shown["launch"]})
    assert (status, answer["priority"], answer["launch"]["envs"]) == (200, 7, {"TOKEN": "******"})
    kept = gateway.house.deployments.declared()[0][1]
    assert kept.envs == {"TOKEN": "s3cret"}
    (entry,) = await gateway.house.autostart.all()
    assert entry.request.envs == {"TOKEN": "s3cret"}


async def test_an_entry_is_started_at_once(gateway, until):
    status, answer = await call(gateway, "POST", "/v1/autostart/models", {"launch": {**FAKE, "model_uid": "mine"}})
    assert (status, answer["model_uid"], answer["enabled"]) == (200, "mine", True)
    assert await until(lambda: ready(gateway, "mine"))
    status, answer = await call(
        gateway, "POST", "/v1/autostart/models", {"launch": {**FAKE, "model_uid": "mine", "replica": 2}}
    )
    assert status == 409 and "another launch" in answer["detail"]
    assert await call(gateway, "DELETE", "/v1/autostart/models/mine") == (200, {"model_uid": "mine", "removed": True})
    assert await entries(gateway) == {}
    assert await ready(gateway, "mine")  # it runs on
    assert (await call(gateway, "DELETE", "/v1/autostart/models/mine"))[0] == 404


async def test_one_that_is_not_enabled_is_but_kept(gateway):
    body = {"enabled": False, "launch": {**FAKE, "model_uid": "later"}}
    assert (await call(gateway, "POST", "/v1/autostart/models", body))[0] == 200
    one = (await entries(gateway))["later"]
    assert (one["enabled"], one["status"], one["attempts"]) == (False, None, 0)
    assert (await call(gateway, "DELETE", "/v1/autostart/models/later"))[0] == 200


async def test_a_start_that_fails_is_tried_again(gateway, until):
    body = {"max_retries": 2, "retry_interval_seconds": 0, "launch": {**FAKE, "load_crash": "raise"}}
    assert (await call(gateway, "POST", "/v1/autostart/models", body))[0] == 200

    async def given_up():
        one = (await entries(gateway))["fake-model"]
        return one if one["attempts"] == 3 and one["status"] == "ERROR" and one["last_error"] else None

    one = await until(given_up, 60.0)
    assert "fake-model" in one["last_error"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "launch"),
        ([], "wrong"),
        ({"launch": {}}, "model_name"),
        ({"launch": {"model_name": "nothing-at-all"}}, "nothing-at-all"),
        ({"launch": FAKE, "max_retries": -1}, "max_retries"),
        ({"launch": FAKE, "retry_interval_seconds": 1e9}, "retry_interval_seconds"),
        ({"launch": FAKE, "priority": 2**70}, "priority"),
        ({"launch": {**FAKE, "envs": {"TOKEN": "******"}}}, "envs.TOKEN"),
    ],
)
async def test_entries_that_are_wrong(gateway, body, says):
    status, answer = await call(gateway, "POST", "/v1/autostart/models", body)
    assert status == 400 and says in answer["detail"]
    assert await entries(gateway) == {}


async def test_launches_of_before(gateway):
    body = {"model_name": "org/m", "model_uid": "u", "data": {"envs": {"TOKEN": "s3cret"}, "replica": 2}}
    assert await call(gateway, "POST", "/v1/launch_history", body) == (200, {"status": "ok"})
    assert await call(gateway, "POST", "/v1/launch_history", {"model_name": "org/m"}) == (200, {"status": "ok"})
    status, kept = await gateway.get("/v1/launch_history?model_name=org/m")
    assert status == 200
    assert [(one["model_uid"], one["data"]) for one in kept] == [
        ("u", {"envs": {"TOKEN": "******"}, "replica": 2}),
        ("", {}),
    ]
    assert await call(gateway, "DELETE", "/v1/launch_history/org%2Fm/u") == (200, {"status": "ok"})
    assert await call(gateway, "DELETE", "/v1/launch_history/org%2Fm") == (200, {"status": "ok"})
    assert (await call(gateway, "DELETE", "/v1/launch_history/org%2Fm"))[0] == 404
    for wrong in ({}, [], {"model_name": 1}, {"model_name": "m", "data": []}, {"model_name": "m", "model_uid": 1}):
        assert (await call(gateway, "POST", "/v1/launch_history", wrong))[0] == 400


def stand(home: Path, digest: str) -> Path:
    """A complete environment without anything in it."""
    lock = Lock(python="3.11.9", platform="linux-x86_64", accelerator="cpu", packages=())
    sizes = {"seconds": 1.0, "size_bytes": 1, "own_bytes": 1}
    record = EnvironmentRecord(
        digest=digest, provisioner="uv", lock=lock, made_ts=1.0, engine="vllm", asked_by="m", **sizes
    )
    folder = home / "environments" / digest
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "environment.json").write_bytes(msgspec.json.encode(record))
    return folder


async def test_environments(gateway, settings):
    assert await gateway.get("/v1/virtualenvs") == (200, {"list": []})
    assert (await call(gateway, "DELETE", "/v1/virtualenvs"))[0] == 400
    assert await call(gateway, "DELETE", "/v1/virtualenvs?model_name=m") == (200, {"result": False})
    folder = stand(settings.home, "ab" * 20)
    _, answer = await gateway.get("/v1/virtualenvs?model_name=m")
    assert answer["list"][0] == {
        "model_name": "m",
        "model_engine": "vllm",
        "python_version": "3.11.9",
        "path": str(folder),
        "real_path": str(folder.resolve()),
        "actor_ip_address": "127.0.0.1",
    }
    assert (await gateway.get("/v1/virtualenvs?model_engine=other"))[1] == {"list": []}
    assert await call(gateway, "DELETE", "/v1/virtualenvs?model_name=m&python_version=3.12") == (200, {"result": False})
    assert await call(gateway, "DELETE", "/v1/virtualenvs?model_name=m") == (200, {"result": True})
