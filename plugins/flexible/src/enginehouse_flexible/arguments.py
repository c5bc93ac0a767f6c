"""Arguments of launchers, as the wire has them: an object, its JSON text, or nothing."""

from __future__ import annotations

from typing import Any

import msgspec


def read_arguments(given: str | dict[str, Any] | None) -> dict[str, Any]:
    """The arguments as a mapping. Raises ValueError when the text is no JSON object."""
    if given is None or given == "":
        return {}
    return msgspec.json.decode(given, type=dict[str, Any]) if isinstance(given, str) else given
