"""Memory that this machine has and that processes take, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")


class MachineMemory(NamedTuple):
    """Bytes; None where the system does not say."""

    total: int | None
    free: int | None


def machine_memory() -> MachineMemory:
    """What this machine has, or the container that this process is in, if that is less."""
    total, free = _whole_machine()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is None:
        return MachineMemory(total, free)
    left = max(0, limit - used + _cached()) if used is not None else limit
    return MachineMemory(limit if total is None else min(total, limit), left if free is None else min(free, left))


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


def _whole_machine() -> MachineMemory:
    try:
        words = [line.split() for line in (PROC / "meminfo").read_text().splitlines()]
    except OSError:
        if "SC_PHYS_PAGES" not in os.sysconf_names:
            return MachineMemory(None, None)
        return MachineMemory(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None)
    sizes = {word[0]: int(word[1]) * 1024 for word in words if len(word) > 1}
    return MachineMemory(sizes.get("MemTotal:"), sizes.get("MemAvailable:"))


def _cached() -> int:
    """Bytes of files that the container's kernel keeps and gives up when somebody needs the memory."""
    try:
        lines = (CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


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


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
