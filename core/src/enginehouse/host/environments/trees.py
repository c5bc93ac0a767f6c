"""Trees of files: sealed against writing, removed although they are sealed, measured."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CACHE_LINKS = 2  # a file in one environment and in the cache that it came from


class Size(NamedTuple):
    """Bytes of a tree, each file once. own: those of files that no other environment links to."""

    total: int
    own: int


def seal(folder: Path) -> None:
    """Nothing can be added, removed or replaced in its folders.

    Of files, those that are nobody else's can also not be written; a hard link's mode is the cache's too.
    """
    for place, folders, files in os.walk(folder):
        for name in files:
            file = Path(place, name)
            status = file.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                file.chmod(stat.S_IMODE(status.st_mode) & ~0o222)
        for name in folders:
            inner = Path(place, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IMODE(inner.stat().st_mode) & ~0o222)


def remove_tree(folder: Path) -> None:
    """Removes a tree, sealed or not, and whatever of it is gone already. Raises OSError when it stays."""
    if folder.is_symlink() or folder.is_file():
        return folder.unlink(missing_ok=True)
    for place, folders, _ in os.walk(folder):
        for name in (".", *folders):
            inner = Path(place, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)  # once more, to say why it stays


def measure(folder: Path) -> Size:
    """Reads the whole tree's inodes."""
    seen: dict[int, os.stat_result] = {status.st_ino: status for status in _files(folder)}
    total = sum(status.st_size for status in seen.values())
    own = sum(status.st_size for status in seen.values() if status.st_nlink <= CACHE_LINKS)
    return Size(total, own)


def _files(folder: Path) -> Iterator[os.stat_result]:
    for place, _, files in os.walk(folder):
        for name in files:
            yield Path(place, name).lstat()
