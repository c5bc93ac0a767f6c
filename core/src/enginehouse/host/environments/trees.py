"""Trees of files: sealed against writing, removed although they are sealed, measured."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

WRITE = 0o222
CACHE_LINKS = 2  # a file in one environment and in the cache that it came from


class Size(NamedTuple):
    """Bytes of a tree, each file once. own: those of files that no other environment links to."""

    total: int
    own: int


def seal(folder: Path) -> Size:
    """From now on nothing can be added, removed or replaced in the folders below it; how large all is.

    Of files, those that are nobody else's can also not be written; a hard link's mode is the cache's too.
    """
    seen = {}
    for entry in _entries(str(folder)):
        status = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            Path(entry.path).chmod(stat.S_IMODE(status.st_mode) & ~WRITE)
            continue
        seen[status.st_ino] = status
        if status.st_nlink == 1 and stat.S_ISREG(status.st_mode):
            Path(entry.path).chmod(stat.S_IMODE(status.st_mode) & ~WRITE)
    return _size(seen)


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
    files = (entry for entry in _entries(str(folder)) if not entry.is_dir(follow_symlinks=False))
    statuses = (file.stat(follow_symlinks=False) for file in files)
    return _size({status.st_ino: status for status in statuses})


def _size(files: dict[int, os.stat_result]) -> Size:
    total = sum(status.st_size for status in files.values())
    return Size(total, sum(status.st_size for status in files.values() if status.st_nlink <= CACHE_LINKS))


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """All below, a folder after what is in it. Plain strings: an environment has tens of thousands of files, and a Path
    for each would take longer than to link them."""
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path)
        yield entry
