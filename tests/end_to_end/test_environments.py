"""Models in environments of their own: real servers, the real uv, workers that run inside.

What the runner itself requires comes from the index or from uv's cache; the packages that matter here are wheels made
in the test.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

LONGEST = 1.5  # seconds until a kill: a build takes half a second where nothing else runs
HANGING = {"UV_HTTP_TIMEOUT": "600", "UV_HTTP_RETRIES": "0"}


def stock(folder: Path, name: str, version: str) -> None:
    """Puts a wheel with one module into a folder."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    stock(folder, "eh_alpha", "1.0")
    stock(folder, "eh_beta", "1.0")
    return folder


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of an index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def own(shop: Path, *packages: str) -> dict[str, object]:
    """Launch fields of a model that wants an environment of its own."""
    return {
        "model_engine": "fake",
        "enable_virtual_env": True,
        "virtual_env_packages": list(packages),
        "virtual_env_find_links": [str(shop)],
    }


def roots(shop: Path) -> dict[str, str]:
    return {"ENGINEHOUSE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS": str(shop)}


def variables_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def environments(server) -> list[Path]:
    return sorted(path.parent for path in (server.home / "environments").glob("*/environment.json"))


def built(server, uid: str) -> list[str]:
    events = server.client.get(f"/v1/models/{uid}/events").json()
    return [event["event_content"] for event in events if "built in" in event["event_content"]]


def makers(server) -> list[int]:
    """Processes that make environments for this server, and their uv: what it started that is no keeper."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            home = str(server.home).encode() in (entry / "environ").read_bytes() if command else False
        except OSError:
            continue
        if home and (b"environments.maker" in command or command.split(b"\0")[0].endswith(b"/uv")):
            found.append(int(entry.name))
    return found


def progress(server, uid: str) -> float:
    return float(server.client.get(f"/v1/models/{uid}/progress").json()["progress"])


def leftovers(server) -> list[str]:
    return [path.name for path in (server.home / "environments").glob(".*")]


def test_two_models_share_an_environment_and_a_restart_finds_it(new_server, shop, wait, running) -> None:
    server = new_server(**roots(shop), PYTHONDONTWRITEBYTECODE="")
    server.launch(model_uid="one", **own(shop, "eh_alpha"))
    server.launch(model_uid="two", **own(shop, "eh_alpha"))
    (folder,) = environments(server)
    assert len(built(server, "one")) == 1 and built(server, "two") == []
    assert server.complete("one", "hello", max_tokens=2).status_code == 200
    worker = server.pid("one")
    variables = variables_of(worker)
    assert variables["VIRTUAL_ENV"] == str(folder) and variables["PYTHONNOUSERSITE"] == "1"
    assert Path(variables["PYTHONPATH"]).parent == server.home / "environments" / "carried"
    maps = Path(f"/proc/{worker}/maps").read_text()
    assert str(folder / "lib") in maps  # msgspec's machine code comes from there
    assert list((server.home / "environments" / "bytecode" / folder.name).rglob("*.pyc"))
    assert not list(folder.rglob("__pycache__"))

    mine = {"PYTHONPATH": "/mine", "PYTHONNOUSERSITE": "", "EH_WORD": "hello"}
    server.launch(model_uid="three", envs=mine, **own(shop, "eh_alpha", "eh_beta"))
    assert len(environments(server)) == 2 and folder in environments(server)
    seen = variables_of(server.pid("three"))  # what a launch sets comes after what keeps the server's packages out
    assert seen["PYTHONPATH"] == f"{variables['PYTHONPATH']}:/mine" and seen["PYTHONNOUSERSITE"] == "1"
    assert seen["EH_WORD"] == "hello"

    server.stop(signal.SIGTERM)
    server.start()
    wait(lambda: server.description("one")["status"] == "READY", what="the adopted worker")
    assert server.pid("one") == worker and running(worker)


def test_a_model_comes_back_in_the_very_same_environment(new_server, tmp_path, wait) -> None:
    """Although the index has moved on, and the environment and all that was remembered beside are gone."""
    shop = tmp_path / "shop"
    shop.mkdir()
    stock(shop, "eh_alpha", "1.0")
    server = new_server(**roots(shop))
    server.launch(model_uid="one", **own(shop, "eh_alpha"))
    before = environments(server)
    server.stop()
    stock(shop, "eh_alpha", "2.0")
    shutil.rmtree(server.home / "environments")
    server.start()
    wait(lambda: server.description("one")["status"] == "READY", 60, "the model's return")
    assert environments(server) == before
    assert next(before[0].glob("lib/python*/site-packages/eh_alpha.py")).read_text() == "version = '1.0'\n"
    server.launch(model_uid="two", **own(shop, "eh_alpha"))  # a launch is given what the index has now
    assert len(environments(server)) == 2


def test_what_cannot_be_had_is_told_and_tried_again_by_the_next_launch(new_server, tmp_path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    server = new_server(**roots(shop), UV_OFFLINE="1")
    fields = {"model_name": "fake-model", "model_uid": "one", **own(shop, "eh_gamma")}
    answer = server.client.post("/v1/models", json=fields)
    assert answer.status_code == 503
    assert "uv says" in answer.json()["detail"] and "eh-gamma" in answer.json()["detail"]
    assert server.description("one")["status"] == "ERROR" and leftovers(server) == []
    stock(shop, "eh_gamma", "1.0")
    again = server.client.post("/v1/models", json=fields)
    assert again.status_code == 200, again.text


def test_what_starts_again_by_itself_does_not_try_again(new_server, tmp_path, wait) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    stock(shop, "eh_alpha", "1.0")
    server = new_server(**roots(shop), ENGINEHOUSE_RESTART_LIMIT="2")
    server.launch(model_uid="one", **own(shop, "eh_alpha"))
    server.stop()
    shutil.rmtree(server.home / "environments")
    (shop / "eh_alpha-1.0-py3-none-any.whl").unlink()
    server.variables |= {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "empty")}
    server.start()
    wait(lambda: server.description("one")["status"] == "ERROR", 60, "the model to be given up")
    error = server.description("one")["error"]
    assert "uv says" in error and "not tried again by itself: launch the model again" in error
    (failure,) = (server.home / "environments" / "failures").iterdir()
    del server.variables["UV_OFFLINE"], server.variables["UV_CACHE_DIR"]
    stock(shop, "eh_alpha", "1.0")
    server.stop()
    server.start()
    wait(lambda: server.description("one")["status"] == "ERROR", 60, "the refusal to try again")
    assert failure.exists() and environments(server) == []
    server.launch(model_uid="one", **own(shop, "eh_alpha"))  # this one is somebody's wish
    assert not failure.exists()


@pytest.mark.parametrize("way", ["cancel", "delete", "stop"])
def test_a_launch_that_ends_in_the_middle_leaves_nothing(new_server, shop, silent, wait, running, way) -> None:
    server = new_server(**roots(shop), **HANGING, UV_DEFAULT_INDEX=silent)
    server.launch(model_uid="one", wait_ready=False, **own(shop, "eh_nowhere"))
    wait(lambda: len(makers(server)) >= 2, 60, "uv")
    seen = server.client.get("/v1/models/one/progress").json()
    pids = makers(server)
    if way == "cancel":
        assert server.client.post("/v1/models/one/cancel").status_code == 200
    elif way == "delete":
        assert server.client.delete("/v1/models/one").status_code == 200
    else:
        server.stop()
    assert not any(running(pid) for pid in pids)
    assert leftovers(server) == [] and environments(server) == []
    assert seen["stage"] == "environment: resolve" and 0.8 <= seen["progress"] < 0.9


def test_a_server_that_is_killed_in_the_middle_leaves_no_process(new_server, shop, silent, wait, running) -> None:
    server = new_server(**roots(shop), **HANGING, UV_DEFAULT_INDEX=silent)
    server.launch(model_uid="one", wait_ready=False, **own(shop, "eh_nowhere"))
    wait(lambda: len(makers(server)) >= 2, 60, "uv")
    pids = makers(server)
    server.kill()
    wait(lambda: not any(running(pid) for pid in pids), what="the end of who built")
    assert leftovers(server)
    server.variables.pop("UV_DEFAULT_INDEX")
    server.variables["UV_OFFLINE"] = "1"
    server.start()
    wait(lambda: server.description("one")["status"] == "ERROR", 60, "the launch, taken up again, to fail")
    assert leftovers(server) == []


@pytest.mark.slow
def test_the_server_s_kill_at_many_moments(new_server, shop, wait) -> None:
    """Each time the model comes back, in an environment that is whole."""
    server = new_server(**roots(shop))
    for number in range(8):
        stock(shop, "eh_alpha", f"1.{number}")
        server.launch(model_uid=f"m{number}", wait_ready=False, **own(shop, f"eh_alpha==1.{number}"))
        wait(lambda number=number: progress(server, f"m{number}") >= 0.8, 60, "the build's begin")
        time.sleep(random.uniform(0, LONGEST))
        server.kill()
        server.start()
        wait(lambda number=number: server.description(f"m{number}")["status"] == "READY", 60, "the model")
        server.client.delete(f"/v1/models/m{number}")
    assert leftovers(server) == [] and list((server.home / "workers").iterdir()) == []
