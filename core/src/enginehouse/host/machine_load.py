"""What this machine does and has left at the moment: figures to show, never to plan by."""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import subprocess
import time
from pathlib import Path

import msgspec

from .devices import PROBE_SECONDS, Device, look_at_machine
from .footprint import machine_memory

STAT = Path("/proc/stat")
LOOK_SECONDS = 1.0  # whoever asks more often gets the last figures: a look at accelerators starts a process


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """One device and its use. busy: part of the last moment in which it computed, 0 to 1; None where nobody says."""

    device: Device
    busy: float | None = None


class MachineLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one moment. ts: seconds since 1970. busy: of all processors since the look before, 0 to 1.

    total_bytes, free_bytes: of memory; None where the system does not say.
    """

    ts: float
    cpus: int
    busy: float | None
    total_bytes: int | None
    free_bytes: int | None
    accelerators: tuple[Accelerator, ...]


class ProcessorTime(msgspec.Struct, frozen=True):
    """Clock ticks of all processors since the machine was started."""

    busy: int
    all: int


class LoadWatch:
    """Looks at most once in LOOK_SECONDS, for all who ask."""

    def __init__(self) -> None:
        self._before = read_processor_time()
        self._last: MachineLoad | None = None
        self._looked = float("-inf")
        self._looking = asyncio.Lock()

    async def load(self) -> MachineLoad:
        """The figures of now, or of a moment ago."""
        async with self._looking:
            if self._last is None or time.monotonic() - self._looked > LOOK_SECONDS:
                self._last = await asyncio.to_thread(self._look)
                self._looked = time.monotonic()
            return self._last

    def _look(self) -> MachineLoad:
        memory, machine, busy = machine_memory(), look_at_machine(), _utilisation()
        return MachineLoad(
            ts=time.time(),
            cpus=os.cpu_count() or 1,
            busy=self._processors(),
            total_bytes=memory.total,
            free_bytes=memory.free,
            accelerators=tuple(
                Accelerator(device=one, busy=busy.get(one.index) if one.kind == "cuda" else None)
                for one in machine.devices
            ),
        )

    def _processors(self) -> float | None:
        now, before = read_processor_time(), self._before
        self._before = now
        if now is None or before is None:
            return _load_average()
        passed = now.all - before.all
        return round((now.busy - before.busy) / passed, 4) if passed > 0 else 0.0


def read_processor_time() -> ProcessorTime | None:
    """None where the system does not say. Source: /proc/stat in proc(5)."""
    try:
        first = STAT.read_text().partition("\n")[0].split()
        user, nice, system, idle, waiting, *others = (int(word) for word in first[1:9])
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(others)
    return ProcessorTime(busy, busy + idle + waiting)


def _load_average() -> float | None:
    """The processes that want to compute, for each processor; where there is no better figure."""
    try:
        return min(1.0, round(os.getloadavg()[0] / (os.cpu_count() or 1), 4))
    except OSError:
        return None


def _utilisation() -> dict[int, float]:
    """Of NVIDIA's devices, by index, 0 to 1; those that do not say are left out."""
    program = shutil.which("nvidia-smi")
    if not program:
        return {}
    query = [program, "--query-gpu=index,utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return read_utilisation(answer.stdout)


def read_utilisation(table: str) -> dict[int, float]:
    """From lines of "index, percent"; "[N/A]" stands where a board has no such reading."""
    rows = ([cell.strip() for cell in row] for row in csv.reader(table.splitlines()))
    return {int(row[0]): int(row[1]) / 100 for row in rows if len(row) == 2 and all(cell.isdigit() for cell in row)}
