"""What a need comes to: its fingerprint, the lock that answers it, and the failure that is remembered. Pure but for
the two small files."""

from __future__ import annotations

import hashlib
import logging
import platform
import sys
import sysconfig
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from ...sdk import EnvironmentNeed, Lock
from ..home import write_whole
from .shelf import DIGEST_LETTERS, Shelf, digest_of

T = TypeVar("T", bound=msgspec.Struct)

logger = logging.getLogger(__name__)


class KeptLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock, the provisioner that builds it, and the fingerprint of the need that it answers."""

    need: str
    provisioner: str
    lock: Lock

    @property
    def digest(self) -> str:
        """The name of its environment."""
        return digest_of(self.lock, self.provisioner)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an environment could not be made; ts: in seconds since 1970."""

    message: str
    ts: float


def fingerprint(need: EnvironmentNeed) -> str:
    """Names what must be installed, on this Python and platform; from which indexes is no part of it."""
    identity = (
        need.provisioner,
        sorted(set(need.requirements)),
        sorted(set(need.overrides)),
        sorted(set(need.exclusions)),
        need.accelerator,
        sys.implementation.name,
        platform.python_version_tuple()[:2],
        sysconfig.get_platform(),
    )
    return _digest(identity)


def memory_name(need: EnvironmentNeed) -> str:
    """Under which name a lock or failure is remembered: other indexes may come to another lock."""
    return f"{fingerprint(need)}-{_digest(need.indexes)[:8]}"


def recall_lock(shelf: Shelf, need: EnvironmentNeed) -> Lock | None:
    """What this need was resolved to before, from the same indexes."""
    return _read(shelf.locks / f"{memory_name(need)}.json", Lock)


def remember_lock(shelf: Shelf, need: EnvironmentNeed, lock: Lock) -> None:
    """So that the next launch asks no index. Losing it is logged, no more."""
    _write(shelf.locks / f"{memory_name(need)}.json", lock)


def forget_lock(shelf: Shelf, need: EnvironmentNeed) -> None:
    """So that the next launch resolves anew."""
    (shelf.locks / f"{memory_name(need)}.json").unlink(missing_ok=True)


def recall_failure(shelf: Shelf, need: EnvironmentNeed) -> Failure | None:
    return _read(shelf.failures / f"{memory_name(need)}.json", Failure)


def remember_failure(shelf: Shelf, need: EnvironmentNeed, message: str) -> None:
    """So that what restarts by itself does not try again."""
    _write(shelf.failures / f"{memory_name(need)}.json", Failure(message=message, ts=time.time()))


def forget_failure(shelf: Shelf, need: EnvironmentNeed) -> None:
    (shelf.failures / f"{memory_name(need)}.json").unlink(missing_ok=True)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:DIGEST_LETTERS]


def _read(file: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _write(file: Path, value: msgspec.Struct) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, msgspec.json.encode(value))
    except OSError as error:
        logger.warning("%s cannot be kept: %s", file, error)
