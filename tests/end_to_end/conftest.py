"""Helpers for what only end-to-end tests need."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def events_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON of each `data:` line of a stream, [DONE] left out."""
    for line in lines:
        if line.startswith("data:") and line != "data: [DONE]":
            yield json.loads(line[5:])


@pytest.fixture
def read_events() -> Callable[[Iterator[str]], Iterator[dict[str, Any]]]:
    return events_of
