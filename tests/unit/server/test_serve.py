"""Servers that do not start say why."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.host.home import held_home
from enginehouse.host.settings import Settings
from enginehouse.server.serve import listen, serve


@pytest.fixture
def complaint(capsys):
    """What a server that does not start says, with its exit status."""

    def of(**settings: Any) -> tuple[int, str]:
        status = serve(Settings(**settings))
        return status, capsys.readouterr().err

    return of


def test_an_address_that_is_taken(complaint, tmp_path):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        status, said = complaint(home=tmp_path, port=port)
    assert status == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in said
    assert "--port" in said


def test_an_address_that_is_none(complaint, tmp_path):
    status, said = complaint(home=tmp_path, host="256.1.1.1")
    assert status == 1
    assert "256.1.1.1" in said
    assert "--host" in said


def test_an_open_server_that_would_run_anybodys_code(complaint, tmp_path):
    status, said = complaint(home=tmp_path, host="0.0.0.0", insecure=True, trust_remote_code=True)
    assert status == 1
    assert "ENGINEHOUSE_TRUST_REMOTE_CODE" in said


def test_a_home_that_is_taken(complaint, tmp_path):
    with held_home(tmp_path, "127.0.0.1:1"):
        status, said = complaint(home=tmp_path, port=0)
    assert status == 1
    assert "is in use by process" in said
