"""Downloads from a hub of our own, as the source plugin does them: in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enginehouse.builtin.hub import fetch_hugging_face
from enginehouse.sdk import FetchProgress


class Fetcher:
    """Fetches into a folder that stays the same, and remembers what was reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[FetchProgress] = []

    def __call__(self, reference: str) -> Path:
        self.reports = []
        return fetch_hugging_face(reference, self.folder, self.reports.append)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: Any) -> pytest.MonkeyPatch:
    """The environment of a server that knows only our hub, and no token."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "ENGINEHOUSE_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return monkeypatch


@pytest.fixture
def fetch(variables: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fetcher]:
    yield Fetcher(tmp_path / "weights")
