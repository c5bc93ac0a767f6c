from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from enginehouse.cli.main import COMMANDS
from enginehouse.host.settings import Settings

HEAVY = (
    "aiohttp",
    "asyncio",
    "fastapi",
    "httpx",
    "importlib_metadata",
    "msgspec",
    "pluggy",
    "rich",
    "sqlalchemy",
    "torch",
    "transformers",
    "uvicorn",
)
PROGRAM = """
import sys
from enginehouse.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *sys.modules)
"""


def loaded_after(*arguments: str) -> set[str]:
    """Modules that a fresh interpreter has after the command."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_help_of_all_commands_imports_none_of_them() -> None:
    loaded = loaded_after("--help")
    assert not loaded & set(HEAVY)
    assert not [name for name in loaded if name.startswith("enginehouse.cli.commands")]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(name: str) -> None:
    assert not loaded_after(name, "--help") & set(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str, run: Any) -> None:
    ended = run(name, "--help")
    assert ended.status == 0
    first = " ".join(ended.out.split("\n\n")[1].split())
    promised = COMMANDS[name].rstrip(".").split(" ")[0]
    assert first.startswith(promised)
    assert COMMANDS[name] in run("--help").out


def test_serve_help_tells_the_true_defaults(run: Any) -> None:
    said = " ".join(run("serve", "--help").out.split())
    fields = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    for name in ("host", "port", "lease_seconds", "drain_seconds", "launch_seconds", "restart_limit", "body_bytes"):
        option = said.partition("--" + name.replace("_", "-"))[2]
        default = fields[name]
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert option.partition("[default: ")[2].startswith(f"{shown}]"), name


def test_the_version_is_printed(run: Any) -> None:
    assert run("--version").out.startswith("enginehouse 0.")
    assert "enginehouse-core 0." in run("version").out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--nonsense"], ["terminate"], ["chat"], ["launch"], ["generate", "-u"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str], run: Any) -> None:
    ended = run(*arguments)
    assert ended.status == 2
    assert "Error:" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    "arguments", [["list"], ["terminate", "x"], ["launch", "x"], ["chat", "x", "hi"], ["generate", "x", "hi"]]
)
def test_a_server_that_is_not_there_ends_with_3(arguments: list[str], run: Any, unused_address: str) -> None:
    ended = run(*arguments, "-e", unused_address)
    assert ended.status == 3
    assert unused_address in ended.err
    assert "enginehouse serve" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_the_address_comes_from_the_environment(server: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEHOUSE_ENDPOINT", server.url)
    monkeypatch.setenv("ENGINEHOUSE_API_KEY", "secret")
    server.play({"GET /v1/models": {"data": []}, "GET /v1/cluster/auth": {"auth": True}})
    assert run("list").status == 0
    assert server.asked()[0]["headers"]["authorization"] == "Bearer secret"


def test_the_address_may_have_the_older_name(server: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINFERENCE_ENDPOINT", server.url)
    server.play({"GET /v1/models": {"data": []}})
    assert run("list").status == 0
    assert server.asked("GET /v1/models")


def test_a_reader_that_goes_away_is_no_error(server: Any) -> None:
    models = [{"id": f"model-{number}", "model_description": "x" * 1000} for number in range(1000)]
    server.play({"GET /v1/models": {"data": models}})
    command = [sys.executable, "-m", "enginehouse.cli", "list", "--json", "-e", server.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 141
    process.stderr.close()
