"""Devices of this machine, read without any engine's library."""

from __future__ import annotations

import csv
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable

import importlib_metadata
import msgspec

from .footprint import machine_memory

PROBE_SECONDS = 10  # nvidia-smi takes 0.1-2 s; a driver that hangs must not hold up a launch


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator. memory in bytes; index as its driver counts."""

    kind: str
    index: int
    name: str = ""
    total_bytes: int = 0
    free_bytes: int = 0

    @property
    def label(self) -> str:
        return f"{self.kind}:{self.index}"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What planning may know of a machine. packages: versions of the distributions that somebody asked about.

    total_bytes, free_bytes: of its memory; None where the system does not say.
    """

    platform: str
    devices: tuple[Device, ...] = ()
    packages: dict[str, str] = {}
    total_bytes: int | None = None
    free_bytes: int | None = None

    @property
    def device_kinds(self) -> tuple[str, ...]:
        return (*dict.fromkeys(device.kind for device in self.devices), "cpu")


def look_at_machine(packages: Iterable[str]) -> Machine:
    """This machine now, with the installed versions of `packages`. May take a second: call it in a thread."""
    versions = {name: version for name in packages if (version := _version(name))}
    memory = machine_memory()
    return Machine(
        platform=sys.platform,
        devices=(*_nvidia(), *_apple()),
        packages=versions,
        total_bytes=memory.total,
        free_bytes=memory.free,
    )


def _version(package: str) -> str | None:
    try:
        return importlib_metadata.version(package)
    except importlib_metadata.PackageNotFoundError:
        return None


def _nvidia() -> list[Device]:
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=index,name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [device for row in csv.reader(answer.stdout.splitlines()) if (device := _nvidia_device(row))]


def _nvidia_device(row: list[str]) -> Device | None:
    try:
        index, name, total, free = (cell.strip() for cell in row)
        mebibyte = 2**20
        return Device(
            kind="cuda",
            index=int(index),
            name=name,
            total_bytes=int(total) * mebibyte,
            free_bytes=int(free) * mebibyte,
        )
    except ValueError:
        return None  # "[N/A]" on boards without such a reading


def _apple() -> list[Device]:
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return [Device(kind="mps", index=0, name="Apple GPU")]
    return []
