from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from enginehouse.cli.main import main


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


def _load_scripted_server() -> Any:
    path = Path(__file__).parents[1] / "client" / "scripted_server.py"
    spec = spec_from_file_location("scripted_server_of_cli_tests", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def server_process() -> Iterator[Any]:
    with _load_scripted_server().running() as server:
        yield server


@pytest.fixture
def server(server_process: Any) -> Any:
    server_process.play({})
    return server_process


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's reaches a test."""
    for name in [name for name in os.environ if name.startswith(("ENGINEHOUSE_", "XINFERENCE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENGINEHOUSE_HOME", str(tmp_path / "home"))


@pytest.fixture
def unused_address() -> Iterator[str]:
    """An address at which nothing listens: its port is bound, so that nobody else takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, as a script would: nothing is a terminal."""

    def run(*arguments: str, stdin: str = "") -> Ended:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
            main(arguments)
        assert isinstance(caught.value.code, int)
        return Ended(caught.value.code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def ask(run: Run, server: Any) -> Run:
    """Runs a command against the scripted server."""

    def ask(command: str, *arguments: str, stdin: str = "") -> Ended:
        return run(command, "-e", server.url, *arguments, stdin=stdin)

    return ask
