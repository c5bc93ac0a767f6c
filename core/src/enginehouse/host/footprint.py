"""Memory that processes take, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

PROC = Path("/proc")


def groups_bytes(leaders: Collection[int]) -> int | None:
    """Bytes that the process groups of `leaders` take, shared pages in parts; None when nobody can tell.

    Source: Pss in proc_pid_smaps(5): a page that n processes share counts as the n-th part for each.
    """
    sizes = bytes_by_group(leaders)
    return sum(sizes.values()) if sizes else None


def bytes_by_group(leaders: Collection[int]) -> dict[int, int]:
    """As `groups_bytes`, for each group; those that nobody can tell of are left out."""
    found: dict[int, int] = {}
    for pid in _processes():
        group = _group(pid)
        if group is not None and group in leaders and (size := _proportional(pid)) is not None:
            found[group] = found.get(group, 0) + size
    return found


def _processes() -> Iterator[int]:
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit():
            yield int(entry.name)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None  # it has ended meanwhile


def _proportional(pid: int) -> int | None:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None  # it has ended, or belongs to somebody else
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)
