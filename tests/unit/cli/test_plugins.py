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
