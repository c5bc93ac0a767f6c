from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from enginehouse.cli import findings
from enginehouse.host.plugins import PluginRecord
from enginehouse.sdk import EngineSpec


def test_an_old_python_is_broken() -> None:
    assert findings.check_python().state == "ok"
    assert findings.check_python((3, 9, 1)).state == "broken"


def test_a_home_must_be_private_and_writable(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert findings.check_home(home).state == "ok"
    home.mkdir(mode=0o700)
    assert findings.check_home(home).state == "ok"
    home.chmod(0o755)
    finding = findings.check_home(home)
    assert (finding.state, finding.advice) == ("warning", f"chmod 700 {home}")
    file = tmp_path / "file"
    file.touch()
    assert findings.check_home(file).state == "broken"


def test_few_files_are_a_warning() -> None:
    assert findings.check_files(256).state == "warning"
    assert findings.check_files(65536).state == "ok"


def test_a_long_home_moves_the_sockets(tmp_path: Path) -> None:
    assert findings.check_sockets(Path("/home")).state == "ok"
    assert findings.check_sockets(tmp_path / ("long" * 30)).state == "warning"


def test_an_address_is_free_or_a_server_is_there(server: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert findings.check_address("127.0.0.1", port).state == "ok"
    server.play({"GET /v1/models": {"data": [{"id": "stoker"}]}})
    finding = findings.check_address("127.0.0.1", int(server.url.rpartition(":")[2]))
    assert (finding.state, "with 1 models" in finding.detail) == ("ok", True)
    assert findings.check_address("203.0.113.1", 9997).state == "broken"


def test_a_server_that_asks_for_a_key_is_well(server: Any) -> None:
    server.play({"GET /v1/cluster/auth": {"auth": True}, "GET /v1/models": [{"status": 401, "json": {"detail": "no"}}]})
    finding = findings.check_address("127.0.0.1", int(server.url.rpartition(":")[2]))
    assert (finding.state, "asks for a key" in finding.detail) == ("ok", True)


def test_a_stranger_at_the_address_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        thread = threading.Thread(target=_answer_nonsense, args=(stranger,), daemon=True)
        thread.start()
        assert findings.check_address(*stranger.getsockname()).state == "broken"


def _answer_nonsense(listener: socket.socket) -> None:
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-nonsense\r\n")


@pytest.mark.parametrize(
    ("state", "finding"),
    [("loaded", "ok"), ("blocked", "warning"), ("incompatible", "broken"), ("quarantined", "broken")],
)
def test_a_plugin_counts_by_its_state(state: Any, finding: str) -> None:
    (found,) = findings.check_plugins([PluginRecord(name="x", state=state, reason="because")])
    assert found.state == finding


@pytest.mark.parametrize(
    ("requirement", "state", "said"),
    [
        ("msgspec>=0.1", "ok", "msgspec"),
        ("msgspec>=99", "warning", ">=99 is needed"),
        ("no-such-package", "warning", "not installed"),
        ("no-such-package; python_version < '3'", "ok", ""),
        ("not a requirement!", "warning", "no requirement"),
    ],
)
def test_the_libraries_of_an_engine_are_looked_for(requirement: str, state: str, said: str) -> None:
    spec = EngineSpec(name="x", tasks=("chat",), formats=("pytorch",), engine="m:X", requirements=(requirement,))
    found = findings.check_engine(spec)
    assert found.state == state
    assert said in found.detail


def test_doctor_reports_and_fails_when_something_is_broken(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("doctor", "--json")
    report = json.loads(ended.out)
    assert (ended.status == 0) == report["ok"]
    assert {"python", "home", "disk", "sockets", "open files", "address", "gpus"} <= {
        row["check"] for row in report["findings"]
    }
    monkeypatch.setenv("ENGINEHOUSE_PORT", "nonsense")
    ended = run("doctor")
    assert ended.status == 1
    assert "broken" in ended.out


def test_cuda_s_torch_on_a_cpu_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(sys, "platform", "linux")
    finding = findings.check_torch(gpus=False)
    assert finding.state == "warning" and "UV_TORCH_BACKEND=cpu" in finding.advice
    assert findings.check_torch(gpus=True).state == "ok"
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert findings.check_torch(gpus=False).state == "ok"
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert "UV_TORCH_BACKEND is cpu" in findings.check_torch(gpus=False).detail
