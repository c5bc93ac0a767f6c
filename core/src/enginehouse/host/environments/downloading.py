"""The very files of a lock, fetched into a folder by pip: uv keeps no wheels that could be carried away."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import uv

from ...sdk import EnvironmentNeed, LaunchFailed, Lock, Report, Step
from ...sdk.credentials import hide_credentials

TOLD_CHARACTERS = 2000  # of pip's last words, in an error


async def download_wheels(need: EnvironmentNeed, lock: Lock, folder: Path, report: Report) -> list[Path]:
    """One wheel for each package of the lock, checked by its hash. Raises LaunchFailed with pip's words.

    Cancelled, it leaves no process behind. Its caller bounds it.
    """
    source = [package.name for package in lock.packages if package.built]
    if source:
        raise LaunchFailed(
            f"{', '.join(source)} come as source only and would have to be built on the other machine, with what "
            "building needs. Make wheels of them and lock anew with --virtual-env-find-link."
        )
    pinned = folder / "requirements.txt"
    await asyncio.to_thread(pinned.write_text, "".join(f"{_pin(lock, index)}\n" for index in range(len(lock.packages))))
    report(Step(phase="download", total=len(lock.packages)))
    wheels = folder / "wheels"
    wheels.mkdir()
    await _pip("download", "--require-hashes", "--no-deps", "-r", str(pinned), "-d", str(wheels), need=need)
    found = sorted(wheels.iterdir())
    if len(found) != len(lock.packages):
        raise LaunchFailed(f"pip fetched {len(found)} files for {len(lock.packages)} packages.")
    return found


def _pin(lock: Lock, index: int) -> str:
    package = lock.packages[index]
    which = f"{package.name} @ {package.url}" if package.url else f"{package.name}=={package.version}"
    return " ".join((which, *(f"--hash={one}" for one in package.hashes)))


async def _pip(*arguments: str, need: EnvironmentNeed) -> None:
    process = await asyncio.create_subprocess_exec(
        *_program(),
        *arguments,
        "--no-input",
        "--disable-pip-version-check",
        env=_variables(need),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # its group is it and all it starts
    )
    try:
        _, words = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        said = hide_credentials(words.decode(errors="replace").strip())[-TOLD_CHARACTERS:]
        raise LaunchFailed(f"The packages of engine {need.engine} could not be fetched. pip says: {said}")


def _program() -> tuple[str, ...]:
    """The server's own pip; where there is none, one that uv brings."""
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip")
    return (uv.find_uv_bin(), "tool", "run", "--python", sys.executable, "pip")


def _variables(need: EnvironmentNeed) -> dict[str, str]:
    """Indexes as pip's variables, not arguments: URLs hold passwords, and everybody may list a process's arguments."""
    indexes = need.indexes
    wanted = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": indexes.index_url or "",
        "PIP_EXTRA_INDEX_URL": " ".join(indexes.extra_index_url),
        "PIP_FIND_LINKS": " ".join(indexes.find_links),
        "PIP_TRUSTED_HOST": " ".join(indexes.trusted_host),
        "PIP_CERT": indexes.certificate or "",
        "PIP_NO_INDEX": "1" if indexes.no_index else "",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, **{name: value for name, value in wanted.items() if value}}
