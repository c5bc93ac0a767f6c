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
    for place, files in _walk(folder):
        if place != str(folder):
            _close(place, os.lstat(place))
        for entry in files:
            status = entry.stat(follow_symlinks=False)
            seen[status.st_ino] = status
            if status.st_nlink == 1 and stat.S_ISREG(status.st_mode):
                _close(entry.path, status)
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
    statuses = (file.stat(follow_symlinks=False) for _, files in _walk(folder) for file in files)
    return _size({status.st_ino: status for status in statuses})


def _close(path: str, status: os.stat_result) -> None:
    os.chmod(path, stat.S_IMODE(status.st_mode) & ~WRITE)  # noqa: PTH101 - as below


def _size(files: dict[int, os.stat_result]) -> Size:
    total = sum(status.st_size for status in files.values())
    return Size(total, sum(status.st_size for status in files.values() if status.st_nlink <= CACHE_LINKS))


def _walk(folder: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Each folder with what of its entries is none. Plain strings: an environment has tens of thousands of files, and a
    Path for each would take longer than to link them."""
    waiting = [str(folder)]
    while waiting:
        place, files = waiting.pop(), []
        with os.scandir(place) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    files.append(entry)
        yield place, files
