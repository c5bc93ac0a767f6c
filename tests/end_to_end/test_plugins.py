"""Plugins of a running server: installed, upgraded, removed, blocked, while requests go on."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

RATE = 50.0  # requests a second
ENDED_SECONDS = 60.0
READY_SECONDS = 30.0


def examine(server: Any, source: Path | str, status: int = 200, **fields: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/plugin_examinations", json={"source": str(source), "no_index": True, **fields})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def install(server: Any, wheel: Path, status: int = 200) -> dict[str, Any]:
    answer = server.client.post("/v1/plugins", json={"digest": examine(server, wheel)["digest"]})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def upgrade(server: Any, wheel: Path, status: int = 200) -> dict[str, Any]:
    answer = server.client.put("/v1/plugins/blink", json={"digest": examine(server, wheel)["digest"]})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def record(server: Any, name: str = "blink") -> dict[str, Any]:
    return next((one for one in server.client.get("/v1/plugins").json()["plugins"] if one["name"] == name), {})


def text(server: Any, uid: str) -> str:
    answer = server.complete(uid)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


def restart(server: Any, wait: Any) -> None:
    server.stop()
    server.start()
    wait(lambda: server.client.get("/ready").status_code == 200, READY_SECONDS, "the models after a restart")


def folders(server: Any) -> list[str]:
    return sorted(place.name for place in (server.home / "plugins").glob("enginehouse-blink/*"))


@pytest.fixture
def server(server_of_module: Any) -> Iterator[Any]:
    """One server for all these tests; each leaves it without plugins of its own."""
    yield server_of_module
    for name in ("blink", "needy"):
        if record(server_of_module, name):
            server_of_module.client.post(f"/v1/plugins/{name}/unblock")
            server_of_module.client.delete(f"/v1/plugins/{name}", params={"force": "true"})


@pytest.fixture(scope="module")
def server_of_module(new_server_of_module: Any) -> Any:
    return new_server_of_module()


def test_a_plugin_is_installed_into_a_running_server_and_is_there_after_a_restart(
    server: Any, wheels: Any, wait: Any
) -> None:
    asks = "\n\nfrom enginehouse.sdk import Asks\n\nASKS = Asks(network='to ask for the time')\n"
    shown = examine(server, wheels.fake_engine("1.0", "one", plugin=asks))
    assert (shown["distribution"], shown["version"], shown["replaces"]) == ("enginehouse-blink", "1.0", None)
    assert shown["plugins"][0]["contributes"]["engines"] == ["blink"]
    assert shown["plugins"][0]["asks"] == {"network": "to ask for the time"}
    assert record(server) == {}, "an examination installs nothing"
    answer = server.client.post("/v1/plugins", json={"digest": shown["digest"]})
    assert [one["state"] for one in answer.json()["plugins"]] == ["loaded"], answer.text
    uid = server.launch("blink-model", model_uid="m")
    assert text(server, uid) == "one"
    details = server.client.get("/v1/plugins/blink").json()
    assert details["used_by"] == ["m"] and details["requires"] == ["enginehouse-core"]
    assert Path(details["folder"]).is_relative_to(server.home)
    restart(server, wait)
    assert record(server)["state"] == "loaded"
    assert text(server, uid) == "one"
    acts = [json.loads(line)["act"] for line in (server.home / "logs" / "audit.jsonl").read_text().splitlines()]
    assert {"examine_plugin", "install_plugin"} <= set(acts)


class Load:
    """Requests at an even rate, as many at once as it takes; ends by itself after `most` seconds."""

    def __init__(self, server: Any, uid: str, most: float = 60.0) -> None:
        self.outcomes: list[tuple[int, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, uid, number, most)) for number in range(10)]
        for thread in self._threads:
            thread.start()

    def _ask(self, server: Any, uid: str, number: int, most: float) -> None:
        every = len(self._threads) / RATE
        deadline = time.monotonic() + most
        due = time.monotonic() + number / RATE
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not self._stop.wait(max(0.0, due - time.monotonic())) and time.monotonic() < deadline:
                due += every
                answer = client.post("/v1/completions", json={"model": uid, "prompt": "hi", "max_tokens": 4})
                said = answer.json()["choices"][0]["text"] if answer.status_code == 200 else answer.text
                self.outcomes.append((answer.status_code, said))

    def end(self) -> list[tuple[int, str]]:
        self._stop.set()
        for thread in self._threads:
            thread.join(ENDED_SECONDS)
        return self.outcomes


def test_no_request_fails_while_an_engine_is_upgraded(server: Any, wheels: Any, wait: Any, running: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", replica=2, token_seconds=0.01)
    shown = examine(server, wheels.fake_engine("2.0", "two"))
    assert (shown["replaces"], shown["upgrades"]) == ("1.0", [uid])
    former = [server.pid(uid, number) for number in range(2)]
    load = Load(server, uid)
    try:
        wait(lambda: len(load.outcomes) > RATE, what="requests before")
        answer = server.client.put("/v1/plugins/blink", json={"digest": shown["digest"]})
        assert answer.status_code == 200, answer.text
        after = len(load.outcomes)
        wait(lambda: len(load.outcomes) > after + RATE, what="requests after")
    finally:
        outcomes = load.end()
    assert {status for status, _ in outcomes} == {200}, [one for one in outcomes if one[0] != 200][:3]
    assert {said for _, said in outcomes} == {"one", "two"}
    assert {said for _, said in outcomes[-20:]} == {"two"}
    assert record(server)["version"] == "2.0" and record(server)["reason"] is None
    wait(lambda: not any(map(running, former)), ENDED_SECONDS, "the end of the former workers")
    assert [one["status"] for one in server.replicas(uid)] == ["READY", "READY"]
    restart(server, wait)
    assert text(server, uid) == "two"
    assert len(folders(server)) == 1, "the former version is swept"


def test_an_upgrade_whose_workers_do_not_come_up_is_rolled_back(server: Any, wheels: Any, running: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m")
    former = server.pid(uid)
    failed = upgrade(server, wheels.fake_engine("2.0", "two", engine="\n\nwrong = 1 / 0\n"), 503)
    assert failed["error"]["code"] == "upgrade_failed" and "division by zero" in failed["detail"]
    assert (text(server, uid), server.pid(uid), running(former)) == ("one", former, True)
    told = record(server)
    assert (told["state"], told["version"]) == ("loaded", "1.0")
    assert "The upgrade from 1.0 to 2.0 was rolled back, 1.0 serves on" in told["reason"]
    assert len(folders(server)) == 1
    upgrade(server, wheels.fake_engine("2.1", "three"))
    assert text(server, uid) == "three" and record(server)["reason"] is None


def test_an_upgrade_that_fails_its_first_request_takes_those_back_that_had_moved(server: Any, wheels: Any) -> None:
    """Two models: the first runs with the new version already when the second's new worker fails."""
    install(server, wheels.fake_engine("1.0", "one"))
    for uid in ("a", "b"):
        server.launch("blink-model", model_uid=uid, echo=uid == "b")
    refuse = """

_generate = FakeEngine.generate


async def _refusing(self, request):
    if self._options.echo:
        raise RuntimeError("no echo any more")
    async for piece in _generate(self, request):
        yield piece


FakeEngine.generate = _refusing
"""
    failed = upgrade(server, wheels.fake_engine("2.0", "two", engine=refuse), 503)
    assert "no echo any more" in failed["detail"]
    assert (text(server, "a"), text(server, "b")) == ("one", "hi")
    assert record(server)["version"] == "1.0" and len(folders(server)) <= 2
    events = [event["event_content"] for event in server.client.get("/v1/models/a/events").json()]
    assert any("1.0 -> 2.0" in event for event in events) and any("back to" in event for event in events)


class Upgrade:
    """An upgrade that somebody else waits for. status: of its answer, once there is one; None when it broke off."""

    def __init__(self, server: Any, wheel: Path) -> None:
        self.status: int | None = None
        digest = examine(server, wheel)["digest"]
        self._thread = threading.Thread(target=self._run, args=(server.url, digest))
        self._thread.start()

    def _run(self, url: str, digest: str) -> None:
        try:
            self.status = httpx.put(f"{url}/v1/plugins/blink", json={"digest": digest}, timeout=120).status_code
        except httpx.TransportError:
            self.status = None

    def end(self) -> int | None:
        self._thread.join(ENDED_SECONDS)
        return self.status


def workers(server: Any) -> int:
    return len(list((server.home / "workers").glob("*/order.json")))


def test_a_model_that_is_ended_while_it_is_upgraded_leaves_nothing(server: Any, wheels: Any, wait: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", load_seconds=2)
    going = Upgrade(server, wheels.fake_engine("2.0", "two"))
    wait(lambda: workers(server) == 2, ENDED_SECONDS, "the new worker beside the former one")
    assert server.client.delete(f"/v1/models/{uid}").status_code == 200
    assert going.end() == 503
    wait(lambda: workers(server) == 0, ENDED_SECONDS, "the end of both")
    assert (record(server)["version"], record(server)["state"]) == ("1.0", "loaded")
    assert text(server, server.launch("blink-model", model_uid="m")) == "one"


def test_a_server_that_dies_in_an_upgrade_comes_back_with_the_former_version(
    server: Any, wheels: Any, wait: Any
) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", load_seconds=2)
    former = server.pid(uid)
    going = Upgrade(server, wheels.fake_engine("2.0", "two"))
    wait(lambda: workers(server) == 2, ENDED_SECONDS, "the new worker beside the former one")
    server.kill()
    assert going.end() is None
    server.start()
    wait(lambda: server.client.get("/ready").status_code == 200, READY_SECONDS, "the model")
    assert (record(server)["version"], text(server, uid), server.pid(uid)) == ("1.0", "one", former)
    wait(lambda: workers(server) == 1 and len(folders(server)) == 1, ENDED_SECONDS, "the end of what was begun")


SLOW_AND_BROKEN = "\n\nimport time\n\ntime.sleep(8)\nwrong = 1 / 0\n"
OTHER_CLASS = """

_spec = EngineSpec


def EngineSpec(**fields):
    return _spec(**{**fields, "engine": fields["engine"].replace(":FakeEngine", ":NewEngine")})
"""


@pytest.mark.parametrize("sealed", [False, True])
def test_a_former_worker_that_dies_in_an_upgrade_comes_back_as_what_it_was(
    server: Any, wheels: Any, wait: Any, sealed: bool
) -> None:
    """The new version names its class otherwise, so that half of it with half of the former could not run."""
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", enable_virtual_env=sealed)
    former = server.pid(uid)
    broken = wheels.fake_engine("2.0", "two", engine=SLOW_AND_BROKEN, plugin=OTHER_CLASS)
    going = Upgrade(server, broken)
    wait(lambda: workers(server) == 2, ENDED_SECONDS, "the new worker beside the former one")
    os.kill(former, signal.SIGKILL)
    wait(lambda: server.replicas(uid)[0]["pid"] not in (None, former), ENDED_SECONDS, "the former one's successor")
    wait(lambda: server.replicas(uid)[0]["status"] == "READY", ENDED_SECONDS, "its answer")
    assert going.status is None and text(server, uid) == "one"  # the upgrade goes on
    assert going.end() == 503
    assert text(server, uid) == "one" and record(server)["version"] == "1.0"
    successor = server.pid(uid)
    os.kill(successor, signal.SIGKILL)  # and again after all went back
    wait(lambda: server.replicas(uid)[0]["pid"] not in (None, successor), ENDED_SECONDS, "another successor")
    wait(lambda: server.replicas(uid)[0]["status"] == "READY", ENDED_SECONDS, "its answer")
    assert text(server, uid) == "one"


def test_replicas_that_die_in_an_upgrade_end_up_with_the_new_version(server: Any, wheels: Any, wait: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", replica=2, load_seconds=1)
    former = [server.pid(uid, number) for number in range(2)]
    going = Upgrade(server, wheels.fake_engine("2.0", "two"))
    wait(lambda: workers(server) == 3, ENDED_SECONDS, "the first new worker")
    os.kill(former[1], signal.SIGKILL)  # its turn comes later
    assert text(server, uid) == "one"
    assert going.end() == 200
    wait(lambda: [one["status"] for one in server.replicas(uid)] == ["READY"] * 2, ENDED_SECONDS, "both")
    assert {text(server, uid) for _ in range(6)} == {"two"}
    latter = server.pid(uid, 1)
    os.kill(latter, signal.SIGKILL)  # what dies after the upgrade is of the new version, too
    wait(lambda: server.replicas(uid)[1]["pid"] not in (None, latter), ENDED_SECONDS, "its successor")
    wait(lambda: [one["status"] for one in server.replicas(uid)] == ["READY"] * 2, ENDED_SECONDS, "both")
    assert {text(server, uid) for _ in range(6)} == {"two"}


def test_a_new_worker_that_dies_before_traffic_moves_leaves_the_former_version(
    server: Any, wheels: Any, wait: Any, running: Any
) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", load_seconds=3)
    former, known = server.pid(uid), set((server.home / "workers").iterdir())
    going = Upgrade(server, wheels.fake_engine("2.0", "two"))
    wait(lambda: workers(server) == 2, ENDED_SECONDS, "the new worker beside the former one")
    (folder,) = set((server.home / "workers").iterdir()) - known
    wait(lambda: runner_of(folder), ENDED_SECONDS, "its process")
    os.kill(runner_of(folder), signal.SIGKILL)
    assert going.end() == 503
    assert (text(server, uid), server.pid(uid), running(former)) == ("one", former, True)
    wait(lambda: workers(server) == 1, ENDED_SECONDS, "the end of the new one")
    assert record(server)["version"] == "1.0" and len(folders(server)) == 1


def runner_of(folder: Path) -> int:
    """The process that runs a worker's model; 0 while there is none."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            if b"enginehouse.runner" in words and str(folder).encode() in words:
                return int(entry.name)
    return 0


def test_a_light_half_that_breaks_is_refused_before_anything_changes(server: Any, wheels: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    refused = examine(server, wheels.fake_engine("2.0", "two", plugin="\n\nimport no_such_module\n"), 400)
    assert refused["error"]["code"] == "plugin_refused" and "no_such_module" in refused["detail"]
    assert (record(server)["version"], record(server)["reason"]) == ("1.0", None)


def test_a_plugin_that_is_used_is_removed_only_by_force(server: Any, wheels: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m")
    kept = server.client.delete("/v1/plugins/blink")
    assert kept.status_code == 409 and "'m'" in kept.json()["detail"]
    assert text(server, uid) == "one"
    gone = server.client.delete("/v1/plugins/blink", params={"force": "true"})
    assert gone.json() == {"ended": ["m"]}
    assert record(server) == {} and not folders(server)
    again = server.client.post("/v1/models", json={"model_name": "blink-model"})
    assert again.status_code == 400
    assert install(server, wheels.fake_engine("1.1", "again"))["plugins"][0]["version"] == "1.1"
    assert text(server, server.launch("blink-model", model_uid="m")) == "again"


def test_a_blocked_engine_serves_on_and_starts_nothing_new(server: Any, wheels: Any) -> None:
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m")
    blocked = server.client.post("/v1/plugins/blink/block").json()
    assert blocked["state"] == "blocked" and blocked["contributes"] == {}
    assert text(server, uid) == "one"
    assert server.client.post("/v1/models", json={"model_name": "blink-model"}).status_code == 400
    assert (server.home / "blocked_plugins.txt").read_text() == "blink\n"
    server.kill()
    server.start()
    assert record(server)["state"] == "blocked"
    assert text(server, uid) == "one", "its worker is adopted"
    assert server.client.post("/v1/plugins/blink/unblock").json()["state"] == "loaded"
    assert (server.home / "blocked_plugins.txt").read_text() == ""
    assert text(server, server.launch("blink-model", model_uid="n")) == "one"


def test_a_name_that_is_taken_is_refused_and_both_are_named(server: Any, wheels: Any) -> None:
    stranger = {
        "stranger.py": """
from enginehouse.sdk import EngineSpec, hookimpl

@hookimpl
def enginehouse_engines():
    return [EngineSpec(name="FAKE", tasks=("generate",), formats=("fake",), engine="stranger:Engine")]
"""
    }
    refused = examine(server, wheels.make("stranger", "1.0", stranger, "stranger = stranger"), 400)
    assert "'fake' among engines, which fake_engine (enginehouse-fake-engine " in refused["detail"]
    assert refused["detail"].startswith("stranger 1.0 cannot be installed")
    namesake = examine(server, wheels.make("stranger", "1.1", {"stranger.py": ""}, "fake_engine = stranger"), 400)
    assert "'fake_engine' is there already, from enginehouse-fake-engine" in namesake["detail"]


@pytest.mark.parametrize(
    ("requires", "words"),
    [
        (("enginehouse-core>=99",), ("It asks for enginehouse-core>=99, this is 0.", "Upgrade Enginehouse")),
        (("msgspec<0.1",), ("needs msgspec<0.1, and this server has msgspec 0.",)),
        (("no-such-package-of-ours",), ("no-such-package-of-ours",)),
    ],
)
def test_what_does_not_go_with_the_server_is_refused_with_both_versions(
    server: Any, wheels: Any, requires: tuple[str, ...], words: tuple[str, ...]
) -> None:
    wheel = wheels.make("picky", "1.0", {"picky.py": ""}, "picky = picky", requires)
    answer = server.client.post("/v1/plugin_examinations", json={"source": str(wheel), "no_index": True})
    assert answer.status_code in (400, 503)
    assert all(word in answer.json()["detail"] for word in words), answer.text
    assert server.client.get("/v1/plugins/picky").status_code == 404


def test_what_a_plugin_needs_and_the_server_lacks_comes_along_and_goes_with_it(server: Any, wheels: Any) -> None:
    wheels.make("a-small-need", "1.5", {"a_small_need.py": "WORD = 'needed'\n"})
    source = {
        "needy.py": "import a_small_need\nfrom enginehouse.sdk import Asks\nASKS = Asks(network=a_small_need.WORD)\n"
    }
    wheel = wheels.make("needy", "1.0", source, "needy = needy", ("a-small-need>=1",))
    shown = examine(server, wheel, find_links=[str(wheels.folder)])
    assert shown["adds"] == ["a-small-need==1.5"]
    assert server.client.post("/v1/plugins", json={"digest": shown["digest"]}).status_code == 200
    assert record(server, "needy")["asks"] == {"network": "needed"}
    assert server.client.delete("/v1/plugins/needy").status_code == 200
    assert not (server.home / "plugins" / "needy").exists()


def test_plugins_of_the_servers_own_environment_are_left_alone(server: Any, wheels: Any) -> None:
    refused = server.client.delete("/v1/plugins/fake_engine")
    assert refused.status_code == 400 and "pip uninstall enginehouse-fake-engine" in refused.json()["detail"]
    twin = wheels.make("enginehouse-fake-engine", "9.0", {"other.py": ""}, "other = other")
    refused = examine(server, twin, 400)["detail"]
    assert (
        f"-m pip install --upgrade {twin}`, restart" in refused and f"`enginehouse plugins install {twin}`" in refused
    )
    shadow = wheels.make("shadow", "1.0", {"msgspec/__init__.py": ""}, "shadow = msgspec")
    assert "brings a module 'msgspec'" in examine(server, shadow, 400)["detail"]
    for source in ("--index-url=http://x", "", "./here", "a/b"):
        assert "names no plugin" in examine(server, source, 400)["detail"]
    plain = wheels.make("plain", "1.0", {"plain.py": ""})
    assert "is no plugin" in examine(server, plain, 400)["detail"]
    unknown = server.client.post("/v1/plugins", json={"digest": "../../etc"})
    assert unknown.status_code == 400 and "Examine the plugin first" in unknown.json()["detail"]
    assert server.client.post("/v1/plugins/nobody/block").status_code == 404
    assert server.client.post("/v1/plugins/builtin/block").status_code == 400


def test_the_command_line_does_it_all(server: Any, wheels: Any) -> None:
    first, second = wheels.fake_engine("1.0", "one"), wheels.fake_engine("2.0", "two", requires=("packaging>=20",))
    declined = server.cli("plugins", "install", str(first), "--no-index", stdin="n\n")
    assert declined.returncode == 130 and "engines: blink" in declined.stderr and not record(server)
    done = server.cli("plugins", "install", str(first), "--no-index", "--yes")
    assert done.returncode == 0 and "Installed enginehouse-blink 1.0." in done.stderr, done.stderr
    again = server.cli("plugins", "install", str(first), "--no-index", "--yes")
    assert again.returncode == 1 and "is installed already" in again.stderr
    uid = server.launch("blink-model", model_uid="m")
    shown = server.cli("plugins", "show", "blink").stdout
    assert "used by: m" in shown and "needs of the server: enginehouse-core" in shown
    assert [row.split()[3] for row in server.cli("plugins").stdout.splitlines() if row.startswith("blink ")] == ["home"]
    newer = server.cli("plugins", "upgrade", "blink", "--find-links", str(wheels.folder), "--no-index", stdin="y\n")
    assert newer.returncode == 0 and "gives new workers to: m" in newer.stderr, newer.stderr
    assert second.exists() and text(server, uid) == "two"
    assert server.cli("plugins", "block", "blink").returncode == 0 and record(server)["state"] == "blocked"
    assert "Unblocked blink: loaded." in server.cli("plugins", "unblock", "blink").stderr
    assert "'m'" in server.cli("plugins", "remove", "blink").stderr
    assert "Ended m." in server.cli("plugins", "remove", "blink", "--force", stdin="y\n").stderr
    assert server.cli("plugins", "show", "blink").returncode == 1


def test_the_code_of_a_sealed_environment_is_upgraded_too(server: Any, wheels: Any) -> None:
    """The same environment, made once; what is carried into it is the new version's."""
    install(server, wheels.fake_engine("1.0", "one"))
    uid = server.launch("blink-model", model_uid="m", enable_virtual_env=True)
    assert text(server, uid) == "one"
    upgrade(server, wheels.fake_engine("2.0", "two"))
    assert text(server, uid) == "two"
    assert len(list((server.home / "environments").glob("*/environment.json"))) == 1


def test_what_pip_installed_is_not_upgraded_and_the_refusal_says_how(server: Any) -> None:
    uid = server.launch(model_uid="of-pip")
    for answer, act in (
        (server.client.put("/v1/plugins/fake_engine", json={"digest": "0"}), "install --upgrade"),
        (server.client.delete("/v1/plugins/fake_engine"), "uninstall"),
    ):
        said = answer.json()["detail"]
        assert answer.status_code == 400 and f"{sys.executable} -m pip {act} enginehouse-fake-engine`" in said, said
        assert ("`enginehouse renew` for 'of-pip'" in said) == (act == "install --upgrade")
    asked = server.cli("plugins", "upgrade", "fake_engine", "--yes", "--find-links", "/nonexistent", "--no-index")
    assert asked.returncode == 1 and "install --upgrade" in asked.stderr, asked.stderr
    server.client.delete(f"/v1/models/{uid}")
