"""Environments that provisioners made: which lie in the home, who runs in them, and removing one."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import msgspec

from ..sdk import Conflict

ENVIRONMENTS_FOLDER = "environments"
MARK = "pyvenv.cfg"  # lies in every virtual environment. Source: PEP 405
MOST_DEPTH = 3  # folders below the home's: a model, an engine, a version


class ShelvedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual environment. The parts of its path below the home say whose it is, as far as they go."""

    model_name: str
    model_engine: str | None
    python_version: str | None
    path: str
    real_path: str


def list_environments(home: Path) -> list[ShelvedEnvironment]:
    """All that lie in the home, by path. Reads the disk. Empty while every engine runs in the server's own."""
    shelf = home / ENVIRONMENTS_FOLDER
    marks = (mark for depth in range(1, MOST_DEPTH + 1) for mark in shelf.glob("/".join(["*"] * depth + [MARK])))
    return [_describe(shelf, mark.parent) for mark in sorted(marks)]


def remove_environments(environments: Collection[ShelvedEnvironment], workers: Path) -> bool:
    """Removes them from the disk; whether there was one. Raises Conflict when a worker runs in one of them."""
    for one in environments:
        user = _user(one, workers)
        if user:
            raise Conflict(f"The environment {one.path} is in use by the worker {user}; end its model first.")
    for folder in (Path(one.path) for one in environments):
        if folder.is_symlink():
            folder.unlink()  # what it points to is nobody's of ours
        else:
            shutil.rmtree(folder)
    return bool(environments)


def _user(environment: ShelvedEnvironment, workers: Path) -> str | None:
    """The worker whose order names a program of this environment."""
    needle = msgspec.json.encode(f"{environment.path}/")[:-1]
    for order in workers.glob("*/order.json"):
        try:
            if needle in order.read_bytes():
                return order.parent.name
        except OSError:
            continue  # it has ended meanwhile
    return None


def _describe(shelf: Path, folder: Path) -> ShelvedEnvironment:
    name, *rest = folder.relative_to(shelf).parts
    return ShelvedEnvironment(
        model_name=name,
        model_engine=rest[0] if rest else None,
        python_version=_version(folder / MARK),
        path=str(folder),
        real_path=str(folder.resolve()),
    )


def _version(mark: Path) -> str | None:
    """What `python -m venv` and uv write as version and version_info."""
    try:
        lines = mark.read_text(errors="replace").splitlines()
    except OSError:
        return None
    pairs = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    return pairs.get("version_info") or pairs.get("version")
