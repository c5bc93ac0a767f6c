"""Who makes a worker's environment, as the launch and the server's settings wish it. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ..sdk import BadRequest
from .launch_request import LaunchRequest

SETTING = "ENGINEHOUSE_ENABLE_VIRTUAL_ENV"
Provisioner = Literal["system", "uv", "path"]


class EnvironmentWish(msgspec.Struct, frozen=True, kw_only=True):
    """provisioner: None where it depends on what the server's own environment has. place: the interpreter of `path`;
    reason: who said so."""

    provisioner: Provisioner | None = None
    place: str = ""
    reason: str = ""


def read_wish(request: LaunchRequest, of_server: bool | None) -> EnvironmentWish:
    """What the launch says, else what the server says. Raises BadRequest when the launch contradicts itself."""
    enable = request.enable_virtual_env
    if request.environment is not None:
        named = read_environment(request.environment)
        if enable is not None and named.provisioner != ("uv" if enable else "system"):
            raise BadRequest(
                f"environment is {request.environment!r} and enable_virtual_env is {str(enable).lower()}; give one of "
                "them.",
                param="environment",
            )
        return named
    if enable is not None:
        return EnvironmentWish(
            provisioner="uv" if enable else "system", reason=f"enable_virtual_env is {str(enable).lower()}."
        )
    if of_server is not None:
        return EnvironmentWish(provisioner="uv" if of_server else "system", reason=f"{SETTING} is {of_server:d}.")
    return EnvironmentWish()


def read_environment(text: str) -> EnvironmentWish:
    """The field `environment`: "system", "uv", or "path:" and an absolute path. Raises BadRequest."""
    kind, _, place = text.partition(":")
    if text == "system":
        return EnvironmentWish(provisioner="system", reason="It was asked for.")
    if text == "uv":
        return EnvironmentWish(provisioner="uv", reason="It was asked for.")
    if kind == "path" and Path(place).is_absolute() and "\0" not in place:
        return EnvironmentWish(provisioner="path", place=place, reason="It was asked for.")
    raise BadRequest(
        f"environment is {text!r}; it may be 'system' (the server's own), 'uv' (one that is made), or 'path:' and the "
        "absolute path of a Python interpreter.",
        param="environment",
    )


def check_find_links(folders: list[str] | None, roots: tuple[Path, ...]) -> tuple[str, ...]:
    """Folders of wheels that a launch names, links resolved. Raises BadRequest for one that is not allowed."""
    return tuple(_check_folder(folder, roots) for folder in folders or ())


def _check_folder(folder: str, roots: tuple[Path, ...]) -> str:
    where = Path(folder)
    if not where.is_absolute() or "\0" in folder:
        raise BadRequest(
            f"virtual_env_find_links names {folder!r}; give an absolute path on the server's machine.",
            param="virtual_env_find_links",
        )
    resolved = where.resolve()
    if not any(resolved.is_relative_to(root.resolve()) for root in roots):
        raise BadRequest(
            f"virtual_env_find_links names {folder!r}, which is in no folder that this server allows "
            f"({', '.join(map(str, roots)) or 'none'}); ENGINEHOUSE_VIRTUAL_ENV_FIND_LINKS_ALLOWED_ROOTS says which.",
            param="virtual_env_find_links",
        )
    if not resolved.is_dir():
        raise BadRequest(
            f"virtual_env_find_links names {folder!r}, which is no folder of the server's machine.",
            param="virtual_env_find_links",
        )
    return str(resolved)
