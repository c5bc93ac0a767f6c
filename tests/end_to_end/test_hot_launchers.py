"""A distribution that names a launcher and no plugin, installed into a running server, upgraded, blocked, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NAME = "small-shouter"
LAUNCHER = """
class Shouter:
    def __init__(self, mark):
        self.mark = mark

    def load(self):
        pass

    def infer(self, text):
        return {{"text": text.upper() + self.mark, "version": {version}}}


def launcher(model_uid, model_spec, mark="!"):
    return Shouter(mark)
"""


@pytest.fixture
def wheel(wheels: Any) -> Any:
    def make(version: int, entry: str = "shout = small_shouter:launcher") -> Path:
        files = {"small_shouter.py": LAUNCHER.format(version=version)}
        return Path(wheels.make(NAME, f"{version}.0", files, entry, group="enginehouse.launchers"))

    return make


def examined(server: Any, wheel: Path, status: int = 200) -> dict[str, Any]:
    answer = server.client.post("/v1/plugin_examinations", json={"source": str(wheel), "no_index": True})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def launchers(server: Any) -> dict[str, str]:
    return {one["name"]: one["launcher"] for one in server.client.get("/v1/launchers").json()["launchers"]}


def asked(server: Any) -> Any:
    answer = server.client.post("/v1/flexible/infers", json={"model": "loud", "args": ["hear me"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_launcher_comes_and_goes_while_the_server_runs(new_server: Any, wheel: Any, wait: Any) -> None:
    server = new_server()
    shown = examined(server, wheel(1))
    assert (shown["distribution"], shown["plugins"][0]["contributes"]) == (NAME, {"launchers": ["shout"]})
    server.client.post("/v1/plugins", json={"digest": shown["digest"]}).raise_for_status()
    assert launchers(server)["shout"] == "small_shouter:launcher"
    model = {"model_name": "loud", "launcher": "shout", "launcher_args": {"mark": "?"}}
    server.client.post("/v1/model_registrations/flexible", json={"model": model, "persist": True}).raise_for_status()
    server.launch("loud", model_type="flexible")
    assert asked(server) == {"text": "HEAR ME?", "version": 1}

    shown = examined(server, wheel(2))
    assert (shown["replaces"], shown["upgrades"]) == ("1.0", ["loud"])
    server.client.put(f"/v1/plugins/{NAME}", json={"digest": shown["digest"]}).raise_for_status()
    assert asked(server) == {"text": "HEAR ME?", "version": 2}

    server.stop()
    server.start()
    wait(lambda: server.client.get("/ready").status_code == 200, 30.0, "the model after a restart")
    assert asked(server)["version"] == 2 and server.client.get(f"/v1/plugins/{NAME}").json()["used_by"] == ["loud"]

    server.client.post(f"/v1/plugins/{NAME}/block").raise_for_status()
    assert "shout" not in launchers(server) and asked(server)["version"] == 2
    refused = server.client.post("/v1/models", json={"model_name": "loud", "model_type": "flexible", "model_uid": "b"})
    assert refused.status_code == 400 and "There is no launcher 'shout'" in refused.json()["detail"]
    server.client.post(f"/v1/plugins/{NAME}/unblock").raise_for_status()
    assert "shout" in launchers(server)

    assert server.client.delete(f"/v1/plugins/{NAME}").status_code == 409
    gone = server.client.delete(f"/v1/plugins/{NAME}", params={"force": "true"})
    assert gone.json() == {"ended": ["loud"]}
    assert "shout" not in launchers(server)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("transformers = small_shouter:launcher", "transformers"),
        ("shout = no_such_module:launcher", "no module 'no_such_module'"),
        ("shout = small_shouter", "module:callable"),
    ],
    ids=["a name that is taken", "a module that is not there", "no callable"],
)
def test_what_cannot_be_used_is_refused(server: Any, wheel: Any, entry: str, said: str) -> None:
    refused = examined(server, wheel(1, entry), status=400)
    assert said in refused["detail"]
