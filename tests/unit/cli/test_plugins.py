from __future__ import annotations

import json
from typing import Any

LOADED = {
    "name": "stoker",
    "version": "0.1.0",
    "state": "loaded",
    "contributes": {"families": ["stoker"], "engines": ["a", "b"]},
    "import_seconds": 0.0123,
}
BROKEN = {"name": "bad", "state": "quarantined", "reason": "ImportError: no torch", "traceback": "Traceback: line 1"}


def test_plugins_of_the_server_are_listed(server: Any, ask: Any) -> None:
    server.play({"GET /v1/plugins": {"plugins": [LOADED, BROKEN]}})
    ended = ask("plugins")
    assert ended.status == 0
    _, loaded, broken = ended.out.splitlines()
    assert loaded.split(maxsplit=3)[:3] == ["stoker", "0.1.0", "loaded"]
    assert "families: stoker; engines: a, b" in loaded
    assert "12 ms" in loaded
    assert "ImportError: no torch" in broken
    assert "Traceback" not in ended.out
    assert "Traceback: line 1" in ask("plugins", "--verbose").out


def test_plugins_come_as_json(server: Any, ask: Any) -> None:
    server.play({"GET /v1/plugins": {"plugins": [LOADED]}})
    assert json.loads(ask("plugins", "--json").out) == {"plugins": [LOADED]}


def test_plugins_are_loaded_here_when_no_server_answers(run: Any, unused_address: str) -> None:
    ended = run("plugins", "--json", "-e", unused_address)
    assert ended.status == 0
    assert "No server answers" in ended.err
    named = {record["name"]: record["state"] for record in json.loads(ended.out)["plugins"]}
    assert named["builtin"] == "loaded"
    assert run("plugins", "--local").out.startswith("NAME")


def test_many_names_are_counted(server: Any, ask: Any) -> None:
    many = {**LOADED, "contributes": {"families": [f"family-{number}" for number in range(118)]}}
    server.play({"GET /v1/plugins": {"plugins": [many]}})
    assert "families: 118 " in ask("plugins").out


def test_the_block_list_of_the_home_is_changed_without_a_server(run: Any, tmp_path: Any, unused_address: str) -> None:
    listed = tmp_path / "home" / "blocked_plugins.txt"
    assert "will not be loaded by the next server" in run("plugins", "block", "x", "--local").err
    run("plugins", "block", "y", "--local")
    assert listed.read_text() == "x\ny\n"
    assert "will be loaded by the next server" in run("plugins", "unblock", "x", "--local").err
    assert listed.read_text() == "y\n"
    assert run("plugins", "-e", unused_address, "block", "z").status == 3
    assert listed.read_text() == "y\n"


def test_nothing_is_installed_without_a_yes(server: Any, ask: Any) -> None:
    shown = {
        "digest": "d",
        "distribution": "enginehouse-x",
        "version": "2.0",
        "source": "x",
        "size_bytes": 2048,
        "plugins": [
            {
                "name": "x",
                "contributes": {"engines": ["x"]},
                "asks": {"network": "to ask"},
                "requirements": {"x": ["t>1"]},
                "certificate": {"standing": "valid", "level": "gold"},
            }
        ],
        "requires": ["enginehouse-core", "numpy"],
        "adds": ["numpy==2.0"],
        "replaces": None,
        "upgrades": [],
    }
    server.play({"POST /v1/plugin_examinations": shown, "POST /v1/plugins": {"plugins": [LOADED]}})
    ended = ask("plugins", "install", "enginehouse-x", stdin="n\n")
    assert ended.status == 130
    for words in (
        "2.0 KiB",
        "engines: x",
        "connects to other machines: to ask",
        "in its environment: t>1",
        "certificate: gold",
        "numpy==2.0",
    ):
        assert words in ended.err
    assert not server.asked("POST /v1/plugins")
    assert ask("plugins", "install", "enginehouse-x", "--yes").status == 0
