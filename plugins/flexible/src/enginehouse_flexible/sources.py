"""The source `none:`, for models without weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from enginehouse.sdk import FetchProgress


def fetch_nothing(reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    """An empty folder: there is nothing to bring."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
