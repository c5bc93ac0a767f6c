"""Where environments lie in the home, and what of them is complete.

environments/<digest>/             one environment; `environment.json` in it says that it is complete
environments/locks/<need>.json     what a need was resolved to
environments/failures/<need>.json  why it could not be made
environments/carried/<digest>/     code of the server's that workers run inside environments
environments/bytecode/<digest>/    what Python compiles, for the environments themselves are read-only
environments/held/<name>           a lock file of whoever builds
environments/.building-<token>/    half an environment; .removing-<token>/: half of one that goes
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from ...sdk import EnvironmentNeed, Lock

MARK = "environment.json"
BUILDING, REMOVING = ".building-", ".removing-"
DIGEST_LETTERS = 40  # of a SHA-256 in hexadecimal: 160 bits, as git trusts them


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What `environment.json` holds. Times in seconds since 1970.

    asked_by: the model for which it was made. own_bytes: of size_bytes, those that no other environment shares.
    need: for which it was made first, without indexes.
    records: SHA-256 of each distribution's RECORD file, by its path in the environment.
    """

    digest: str
    provisioner: str
    lock: Lock
    made_ts: float
    seconds: float
    size_bytes: int
    own_bytes: int
    engine: str
    asked_by: str
    need: EnvironmentNeed | None = None
    records: dict[str, str] = {}


class Shelf:
    """The folder of environments. Making one creates nothing."""

    def __init__(self, home: Path) -> None:
        self.root = home / "environments"
        self.locks = self.root / "locks"
        self.failures = self.root / "failures"
        self.carried = self.root / "carried"
        self.bytecode = self.root / "bytecode"
        self.held = self.root / "held"

    def folder(self, digest: str) -> Path:
        return self.root / digest

    def python(self, digest: str) -> Path:
        return self.folder(digest) / "bin" / "python"

    def find(self, digest: str) -> EnvironmentRecord | None:
        """A complete environment whose interpreter is still there; None without one."""
        record = self._read(self.folder(digest) / MARK)
        return record if record and self.python(digest).exists() else None

    def use(self, digest: str) -> None:
        """Notes that it is used now, for who clears up."""
        with suppress(OSError):  # on a read-only disk nobody clears up
            os.utime(self.folder(digest) / MARK)

    def used_ts(self, digest: str) -> float:
        """When it was last used; 0 for one that is gone."""
        try:
            return (self.folder(digest) / MARK).stat().st_mtime
        except OSError:
            return 0.0

    def records(self) -> Iterator[EnvironmentRecord]:
        """All complete environments, by digest."""
        for mark in sorted(self.root.glob(f"*/{MARK}")):
            record = self._read(mark)
            if record and record.digest == mark.parent.name:
                yield record

    def _read(self, mark: Path) -> EnvironmentRecord | None:
        try:
            return msgspec.json.decode(mark.read_bytes(), type=EnvironmentRecord)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            return None


def digest_of(lock: Lock, provisioner: str) -> str:
    """The name of the environment that a provisioner makes of a lock. How large its files are is no part of it."""
    packages = [(one.name, one.version, one.hashes, one.url) for one in lock.packages]
    identity = (provisioner, lock.python, lock.platform, lock.accelerator, packages)
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:DIGEST_LETTERS]
