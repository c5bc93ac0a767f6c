"""The tools that requests of these tests bring."""

from __future__ import annotations

from typing import Any

import pytest

_STRING = {"type": "string"}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


TOOLS = (
    tool(
        "get_weather",
        city=_STRING,
        days={"type": "integer"},
        detailed={"type": "boolean"},
        unit={"type": ["string", "null"]},
    ),
    tool("write_file", path=_STRING, text=_STRING),
    tool(
        "search",
        query=_STRING,
        filters={"type": "object"},
        tags={"anyOf": [{"type": "array"}, {"type": "null"}]},
        limit={"type": "number"},
    ),
    tool("now"),
)


@pytest.fixture
def tools() -> tuple[dict[str, Any], ...]:
    return TOOLS
