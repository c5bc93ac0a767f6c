"""The machine of this process, as its kernel and drivers tell, read without any engine's library.

Not imported with `enginehouse.sdk`: for the server, and for clusters that run this on machines of theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .nodes import Device, Node

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
PROBE_SECONDS = 10  # nvidia-smi takes 0.1-2 s; a driver that hangs must not hold up a launch
BUSY_SECONDS = 1.0  # the kernel counts in hundredths of a second: over less than this the figure says nothing
_NVIDIA_SMI = (
    "--query-gpu=index,name,memory.total,memory.free,utilization.gpu",
    "--format=csv,noheader,nounits",
)


class MachineMemory(NamedTuple):
    """Bytes; None where the system does not say."""

    total: int | None
    free: int | None


class ProcessorTime(NamedTuple):
    """Clock ticks of all processors since the machine was started."""

    busy: int
    all: int


class ThisMachine:
    """The machine of this process. One is kept for all looks: how busy it is shows from one to the next."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._ticks = read_processor_time()
        self._busy: float | None = None

    def look(self, name: str) -> Node:
        """It as it is now, under this name. Takes a second where a driver is slow: call it in a thread."""
        memory = machine_memory()
        return Node(
            name=name,
            cpus=os.cpu_count() or 1,
            busy=self._processors(),
            total_bytes=memory.total,
            free_bytes=memory.free,
            devices=(*_nvidia(), *_apple()),
        )

    def _processors(self) -> float | None:
        now = read_processor_time()
        if now is None or self._ticks is None:
            return _load_average()
        passed = now.all - self._ticks.all
        if passed > 0 and (self._busy is None or time.monotonic() - self._since > BUSY_SECONDS):
            self._busy = round((now.busy - self._ticks.busy) / passed, 4)
            self._ticks, self._since = now, time.monotonic()
        return self._busy or 0.0


def machine_memory() -> MachineMemory:
    """What this machine has, or the container that this process is in, if that is less."""
    total, free = _whole_machine()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is None:
        return MachineMemory(total, free)
    left = max(0, limit - used + _cached()) if used is not None else limit
    return MachineMemory(limit if total is None else min(total, limit), left if free is None else min(free, left))


def read_processor_time() -> ProcessorTime | None:
    """None where the system does not say. Source: /proc/stat in proc(5)."""
    try:
        first = (PROC / "stat").read_text().partition("\n")[0].split()
        user, nice, system, idle, waiting, *others = (int(word) for word in first[1:9])
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(others)
    return ProcessorTime(busy, busy + idle + waiting)


def read_nvidia_smi(table: str) -> tuple[Device, ...]:
    """From lines of "index, name, MiB, MiB, percent"; a board without a memory of its own is left out."""
    return tuple(device for line in table.splitlines() if (device := _nvidia_device(line)))


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


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _load_average() -> float | None:
    """The processes that want to compute, for each processor; where there is no better figure."""
    try:
        return min(1.0, round(os.getloadavg()[0] / (os.cpu_count() or 1), 4))
    except OSError:
        return None


def _nvidia() -> tuple[Device, ...]:
    program = shutil.which("nvidia-smi")
    if not program:
        return ()
    try:
        answer = subprocess.run(
            [program, *_NVIDIA_SMI], capture_output=True, text=True, timeout=PROBE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_nvidia_smi(answer.stdout)


def _nvidia_device(line: str) -> Device | None:
    try:
        index, name, total, free, busy = (cell.strip() for cell in line.split(","))
        mebibyte = 2**20
        return Device(
            kind="cuda",
            index=int(index),
            name=name,
            total_bytes=int(total) * mebibyte,
            free_bytes=int(free) * mebibyte,
            busy=int(busy) / 100 if busy.isdigit() else None,
        )
    except ValueError:
        return None  # "[N/A]" on boards without such a reading


def _apple() -> tuple[Device, ...]:
    if sys.platform == "darwin" and os.uname().machine == "arm64":
        return (Device(kind="mps", index=0, name="Apple GPU"),)
    return ()
