"""The names of plugins that are never imported: in the settings, and one a line in the home's blocked_plugins.txt."""

from __future__ import annotations

from pathlib import Path

from .home import write_whole
from .settings import Settings

BLOCK_LIST = "blocked_plugins.txt"


def blocked_names(settings: Settings) -> frozenset[str]:
    """Those of both."""
    lines = (line.strip() for line in _lines(settings.home / BLOCK_LIST))
    return frozenset(settings.blocked) | {line for line in lines if line and not line.startswith("#")}


def block(name: str, home: Path) -> None:
    """Adds a name. Raises OSError; then nothing changed."""
    lines = _lines(home / BLOCK_LIST)
    if name not in map(str.strip, lines):
        _write([*lines, name], home)


def unblock(name: str, home: Path) -> None:
    """Takes a name off; comments stay. Raises OSError; then nothing changed."""
    lines = _lines(home / BLOCK_LIST)
    if name in map(str.strip, lines):
        _write([line for line in lines if line.strip() != name], home)


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.is_file() else []


def _write(lines: list[str], home: Path) -> None:
    write_whole(home / BLOCK_LIST, "".join(f"{line}\n" for line in lines).encode())
