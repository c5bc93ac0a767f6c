"""The format of the server's log."""

from __future__ import annotations

from typing import Any

import pytest


def test_an_unknown_format_of_logs_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEHOUSE_LOG_FORMAT", "xml")
    ended = run("serve")
    assert ended.status == 2 and "'xml' is not one of 'text', 'json'" in ended.err
