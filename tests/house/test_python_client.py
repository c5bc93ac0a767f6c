"""The reference page of the Python client names every method."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from enginehouse import client

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python-client.md"
KINDS = [client.Client, *(kind for kind in vars(client.handlers).values() if inspect.isclass(kind))]


@pytest.mark.parametrize("kind", dict.fromkeys(KINDS), ids=lambda kind: kind.__name__)
def test_every_method_is_named(kind: type) -> None:
    methods = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    page = PAGE.read_text("utf-8")
    assert not [name for name in methods if f"{name}(" not in page]
    assert not [name for name in methods if not getattr(kind, name).__doc__ and name != "close"]
