"""What may not be shown of a launch: the values of its environment's variables, and credentials in URLs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..sdk import BadRequest
from ..sdk.credentials import HIDDEN, hide_credentials

PACKAGES = "virtual_env_packages"

Json = dict[str, Any]


def hide_secrets(launch: Mapping[str, Any]) -> Json:
    """A launch with the names of its `envs` and none of their values, and no credentials in URLs of packages."""
    told = dict(launch)
    if isinstance(told.get(PACKAGES), list):
        told[PACKAGES] = [hide_credentials(str(word)) for word in told[PACKAGES]]
    if isinstance(told.get("envs"), dict):
        told["envs"] = dict.fromkeys(told["envs"], HIDDEN)
    return told


def restore_secrets(launch: Mapping[str, Any], known: Mapping[str, Any] | None) -> Json:
    """A launch that was shown, with what was hidden taken from the same launch as it is kept.

    Raises BadRequest for a hidden value that nobody knows.
    """
    told, envs = _with_packages(launch, known or {}), launch.get("envs")
    if not isinstance(envs, dict) or HIDDEN not in envs.values():
        return told
    kept = (known or {}).get("envs") or {}
    for name in [name for name, value in envs.items() if value == HIDDEN and name not in kept]:
        raise BadRequest(f"The value of envs.{name} is hidden and not known here; give it.", param=f"envs.{name}")
    told["envs"] = {name: kept[name] if value == HIDDEN else value for name, value in envs.items()}
    return told


def _with_packages(launch: Mapping[str, Any], known: Mapping[str, Any]) -> Json:
    """A copy, whose packages have the credentials that the kept launch has for what looks the same without them."""
    words = launch.get(PACKAGES)
    if not isinstance(words, list) or not any(HIDDEN in str(word) for word in words):
        return dict(launch)
    kept = {hide_credentials(str(word)): word for word in known.get(PACKAGES) or ()}
    for word in words:
        if HIDDEN in str(word) and word not in kept:
            raise BadRequest(f"The credentials of {word!r} are hidden and not known here; give them.", param=PACKAGES)
    return {**launch, PACKAGES: [kept.get(word, word) for word in words]}
