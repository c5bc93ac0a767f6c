"""The very files of a lock, fetched into a folder by pip: uv keeps no wheels that could be carried away. What comes as
source is built, once."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import uv
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from ...sdk import EnvironmentNeed, LaunchFailed, Lock, LockedPackage, Report, Step
from ...sdk.credentials import hide_credentials, strip_credentials

TOLD_CHARACTERS = 2000  # of pip's last words, in an error


class Fetched(NamedTuple):
    """wheels: one for each package. lock: of those very files, named by version and hash alone, so that a folder with
    them is all that is needed. built: names of packages that came as source, of which wheels were made here."""

    wheels: tuple[Path, ...]
    lock: Lock
    built: tuple[str, ...]


async def fetch_wheels(need: EnvironmentNeed, lock: Lock, folder: Path, report: Report) -> Fetched:
    """The packages of a lock, checked by their hashes. Raises LaunchFailed with pip's words.

    Cancelled, it leaves no process behind. Its caller bounds it.
    """
    source = tuple(package.name for package in lock.packages if package.built)
    if source and need.indexes.no_build_isolation:
        raise LaunchFailed(
            f"{', '.join(source)} come as source only and are built with what else is in the environment "
            "(no_build_isolation). Make wheels of them and lock anew with --virtual-env-find-link."
        )
    wheels = folder / "wheels"
    wheels.mkdir()
    report(Step(phase="download", total=len(lock.packages)))
    ready = [package for package in lock.packages if not package.built]
    await _pip("download", *_listed(ready, need, folder), "-d", str(wheels), need=need)
    if source:
        report(Step(phase="build", package=source[0], done=len(ready), total=len(lock.packages)))
        unbuilt = [package for package in lock.packages if package.built]
        await _pip("wheel", *_listed(unbuilt, need, folder), "-w", str(wheels), need=need)
    return Fetched(tuple(sorted(wheels.iterdir())), await asyncio.to_thread(_lock_of, lock, wheels), source)


def _listed(packages: Iterable[LockedPackage], need: EnvironmentNeed, folder: Path) -> tuple[str, ...]:
    file = folder / "requirements.txt"
    file.write_text("".join(f"{_pin(package, need)}\n" for package in packages), "utf-8")
    return ("--require-hashes", "--no-deps", "-r", str(file))


def _pin(package: LockedPackage, need: EnvironmentNeed) -> str:
    """A line that nothing but this package satisfies; a URL with the password that only the need has."""
    which = f"{package.name}=={package.version}"
    if package.url:
        asked = (one.url for one in map(Requirement, need.requirements) if one.url)
        which = f"{package.name} @ {next((url for url in asked if _bare(url) == package.url), package.url)}"
    return " ".join((which, *(f"--hash={one}" for one in package.hashes)))


def _bare(url: str) -> str:
    return strip_credentials(url).partition("#")[0]


def _lock_of(lock: Lock, wheels: Path) -> Lock:
    """The lock of these files. Raises LaunchFailed when they are not one of each package."""
    files = {parse_wheel_filename(file.name)[0]: file for file in wheels.iterdir() if file.suffix == ".whl"}
    lacking = [one.name for one in lock.packages if canonicalize_name(one.name) not in files]
    if lacking or len(files) != len(lock.packages):
        raise LaunchFailed(f"pip brought {len(files)} wheels for {len(lock.packages)} packages; without: {lacking}.")
    packages = (_as_file(one, files[canonicalize_name(one.name)]) for one in lock.packages)
    return msgspec.structs.replace(lock, packages=tuple(packages))


def _as_file(package: LockedPackage, wheel: Path) -> LockedPackage:
    if not package.built and package.url is None:
        return package
    with wheel.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    version = str(parse_wheel_filename(wheel.name)[1])
    size = wheel.stat().st_size
    return LockedPackage(name=package.name, version=version, hashes=(f"sha256:{digest}",), size_bytes=size)


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
    """Indexes as pip's variables, not arguments: URLs hold passwords, and everybody may list a process's arguments.

    What uv's own variables add to them for an environment is added here, too.
    """
    indexes, own = need.indexes, os.environ.get
    extra = (re.sub(r"^[\w.-]+=", "", word) for word in _words("UV_INDEX"))  # it may give each a name
    wanted = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": indexes.index_url or own("UV_DEFAULT_INDEX") or own("UV_INDEX_URL") or "",
        "PIP_EXTRA_INDEX_URL": " ".join((*indexes.extra_index_url, *extra)),
        "PIP_FIND_LINKS": " ".join((*indexes.find_links, *_words("UV_FIND_LINKS", ","))),
        "PIP_TRUSTED_HOST": " ".join((*indexes.trusted_host, *_words("UV_INSECURE_HOST"))),
        "PIP_CERT": indexes.certificate or "",
        "PIP_NO_INDEX": "1" if indexes.no_index else "",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, **{name: value for name, value in wanted.items() if value}}


def _words(variable: str, separator: str | None = None) -> list[str]:
    return [word.strip() for word in os.environ.get(variable, "").split(separator) if word.strip()]
