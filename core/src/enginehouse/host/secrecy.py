"""What may not be shown of a launch: the values of its environment's variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..sdk import BadRequest

HIDDEN = "******"

Json = dict[str, Any]


def hide_secrets(launch: Mapping[str, Any]) -> Json:
    """A launch with the names of its `envs` and none of their values."""
    told = dict(launch)
    if isinstance(told.get("envs"), dict):
        told["envs"] = dict.fromkeys(told["envs"], HIDDEN)
    return told


def restore_secrets(launch: Mapping[str, Any], known: Mapping[str, Any] | None) -> Json:
    """A launch that was shown, with what was hidden taken from the same launch as it is kept.

    Raises BadRequest for a hidden value that nobody knows.
    """
    told, envs = dict(launch), launch.get("envs")
    if not isinstance(envs, dict) or HIDDEN not in envs.values():
        return told
    kept = (known or {}).get("envs") or {}
    for name in [name for name, value in envs.items() if value == HIDDEN and name not in kept]:
        raise BadRequest(f"The value of envs.{name} is hidden and not known here; give it.", param=f"envs.{name}")
    told["envs"] = {name: kept[name] if value == HIDDEN else value for name, value in envs.items()}
    return told
