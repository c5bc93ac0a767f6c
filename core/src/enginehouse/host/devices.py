"""What planning may know of a machine, and what of it the server itself looks up."""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import importlib_metadata
import msgspec
from packaging.utils import canonicalize_name

from ..sdk import Device
from ..sdk.this_machine import PROBE_SECONDS

_CUDA_VERSION = re.compile(r"CUDA Version\s*:\s*(\d+(?:\.\d+)*)")


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
