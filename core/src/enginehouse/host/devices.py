"""Devices of this machine, read without any engine's library."""

from __future__ import annotations

import contextlib
import csv
import functools
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import importlib_metadata
import msgspec
from packaging.utils import canonicalize_name

from .footprint import machine_memory

_CUDA_VERSION = re.compile(r"CUDA Version\s*:\s*(\d+(?:\.\d+)*)")
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
    """What planning may know of a machine. packages: versions of the server's distributions, by canonical name.

    cuda_version: the newest that its driver can; None where there is none.
    total_bytes, free_bytes: of its memory; None where the system does not say.
    """

    platform: str
    devices: tuple[Device, ...] = ()
    packages: dict[str, str] = {}
    cuda_version: str | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None

    @property
    def device_kinds(self) -> tuple[str, ...]:
        return (*dict.fromkeys(device.kind for device in self.devices), "cpu")


def look_at_machine() -> Machine:
    """This machine now, without what is installed on it. May take a second: call it in a thread."""
    memory = machine_memory()
    return Machine(
        platform=sys.platform,
        devices=(*_nvidia(), *_apple()),
        total_bytes=memory.total,
        free_bytes=memory.free,
    )


def installed_packages() -> dict[str, str]:
    """Versions of all distributions that this interpreter can import, by canonical name. Takes a tenth of a second
    when something was installed since the last time."""
    return _packages_of(tuple((folder, _changed(folder)) for folder in sys.path))


@functools.lru_cache(maxsize=2)
def _packages_of(folders: tuple[tuple[str, int], ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib_metadata.distributions(path=[folder for folder, _ in folders]):
        with contextlib.suppress(KeyError, TypeError):  # half removed: it has no name any more
            found.setdefault(canonicalize_name(distribution.name), distribution.version)
    return found


def _changed(folder: str) -> int:
    """When a file of a folder was last added or removed, in nanoseconds."""
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return 0


def driver_cuda_version() -> str | None:
    """The newest CUDA that the driver of this machine can, such as "12.8"; None without one. May take a second."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    try:
        answer = subprocess.run([program], capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _CUDA_VERSION.search(answer.stdout)
    return found[1] if found else None


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
