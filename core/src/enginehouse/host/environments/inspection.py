"""Whether an environment is what its lock says: when it was just built, and any time later."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from ...sdk import LaunchFailed, Lock
from .shelf import EnvironmentRecord, Shelf

START_SECONDS = 60.0  # an interpreter starts in a tenth of a second; on a machine that swaps it takes longer
OF_INSTALLERS = ("_virtualenv.py", "_virtualenv.pth")  # what uv and virtualenv put beside packages


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is not as it was installed. file: relative to the environment."""

    file: str
    what: Literal["changed", "missing", "added", "record changed"]


def check_complete(folder: Path, lock: Lock) -> None:
    """Raises LaunchFailed when its interpreter does not start or a package of the lock is not there."""
    python = folder / "bin" / "python"
    try:
        # -B: what .pth files import would leave bytecode, and `verify` a file that no package brought
        subprocess.run([python, "-IB", "-c", "pass"], check=True, capture_output=True, timeout=START_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchFailed(f"The environment was built, but its interpreter does not start: {error}.") from error
    there = set(_installed(folder))
    missing = [package.name for package in lock.packages if _canonical(package.name) not in there]
    if missing:
        raise LaunchFailed(
            f"The environment was built, but it lacks {', '.join(missing)}. Tell its provisioner's author."
        )


def read_records(folder: Path) -> dict[str, str]:
    """SHA-256 of each RECORD file, by its path in the environment."""
    found = sorted(folder.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def verify(shelf: Shelf, record: EnvironmentRecord) -> list[Difference]:
    """Reads every file and compares it with what was installed. Takes as long as the disk; empty when all is well."""
    folder = shelf.folder(record.digest)
    wrong = []
    known: set[Path] = set()
    for name, digest in record.records.items():
        file = folder / name
        if not file.is_file():
            wrong.append(Difference(file=name, what="missing"))
            continue
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            wrong.append(Difference(file=name, what="record changed"))
        for place, expected in _recorded(file):
            known.add(place)
            if what := _difference(place, expected):
                wrong.append(Difference(file=_relative(place, folder), what=what))
    added = _added(folder, known)
    return sorted((*wrong, *added), key=lambda one: one.file)


def _recorded(record: Path) -> Iterator[tuple[Path, str]]:
    """Files of one distribution with their hashes, empty where RECORD has none. Source: PEP 376."""
    site = record.parent.parent
    with record.open(newline="", encoding="utf-8") as lines:
        for row in csv.reader(lines):
            if row:
                yield Path(*_normal((site / row[0]).parts)), row[1] if len(row) > 1 else ""


def _normal(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Without `..`, and without following links."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept.pop()
        else:
            kept.append(part)
    return tuple(kept)


def _difference(place: Path, expected: str) -> Literal["changed", "missing"] | None:
    if not place.is_file():
        return "missing"
    kind, _, digest = expected.partition("=")
    if not digest:
        return None
    with place.open("rb") as stream:
        there = hashlib.file_digest(stream, kind).digest()
    return None if base64.urlsafe_b64encode(there).rstrip(b"=").decode() == digest else "changed"


def _added(folder: Path, known: set[Path]) -> Iterator[Difference]:
    """Files that no distribution brought. Bytecode goes elsewhere, so there is none of it either."""
    for site in folder.glob("lib/python*/site-packages"):
        for file in site.rglob("*"):
            if not file.is_dir() and file not in known and file.name not in OF_INSTALLERS:
                yield Difference(file=_relative(file, folder), what="added")


def _relative(place: Path, folder: Path) -> str:
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)


def _installed(folder: Path) -> Iterator[str]:
    """Names of packages, from the folders of their metadata: to read these takes a tenth of a second."""
    for place in folder.glob("lib/python*/site-packages/*.dist-info"):
        yield _canonical(place.name.removesuffix(".dist-info").rpartition("-")[0])


def _canonical(name: str) -> str:
    """Source: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
