"""What a need comes to: its fingerprint, the lock that answers it, and the failure that is remembered. Pure but for
the two small files."""

from __future__ import annotations

import hashlib
import logging
import platform
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ...sdk import EnvironmentNeed, Lock, PackageIndexes
from ...sdk.credentials import strip_credentials
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


def shareable(need: EnvironmentNeed) -> EnvironmentNeed:
    """The need without what is this machine's own: its indexes, and passwords in URLs of packages."""
    return msgspec.structs.replace(
        need,
        requirements=tuple(map(strip_credentials, need.requirements)),
        overrides=tuple(map(strip_credentials, need.overrides)),
        indexes=PackageIndexes(),
    )


def fingerprint(need: EnvironmentNeed) -> str:
    """Names what must be installed, on this Python and platform; from which indexes and by whom is no part of it."""
    need = shareable(need)
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


def answers(kept: KeptLock, need: EnvironmentNeed) -> bool:
    """Whether a deployment's lock still does: an upgrade of ours may ask for something that is in it already, and must
    not bring a new torch with it."""
    if kept.need == fingerprint(need):
        return True
    lock = kept.lock
    here = (need.provisioner, need.accelerator, sysconfig.get_platform(), platform.python_version_tuple()[:2])
    if here != (kept.provisioner, lock.accelerator, lock.platform, tuple(lock.python.split(".")[:2])):
        return False
    versions: dict[str, str] = {canonicalize_name(package.name): package.version for package in lock.packages}
    if any(canonicalize_name(name) in versions for name in need.exclusions):
        return False
    replaced = {canonicalize_name(Requirement(text).name) for text in need.overrides}
    asked = [one for one in map(Requirement, need.requirements) if canonicalize_name(one.name) not in replaced]
    return all(_holds(one, versions) for one in (*asked, *map(Requirement, need.overrides)))


def _holds(requirement: Requirement, versions: Mapping[str, str]) -> bool:
    """Whether a lock has what is asked for. What an extra or a URL brings is not seen in it."""
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return True
    version = versions.get(canonicalize_name(requirement.name))
    if not version or requirement.extras or requirement.url:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def memory_name(need: EnvironmentNeed) -> str:
    """Under which name a lock or failure is remembered: other indexes may come to another lock."""
    return f"{fingerprint(need)}-{_digest(need.indexes)[:8]}"


def recall_lock(shelf: Shelf, need: EnvironmentNeed) -> Lock | None:
    """What somebody took in for this need, else what it was resolved to before, from the same indexes."""
    return _read(_pinned(shelf, need), Lock) or _read(shelf.locks / f"{memory_name(need)}.json", Lock)


def pin_lock(shelf: Shelf, need: EnvironmentNeed, lock: Lock) -> None:
    """So that launches of this need get this lock, whatever the indexes say by now."""
    _write(_pinned(shelf, need), lock)


def remember_lock(shelf: Shelf, need: EnvironmentNeed, lock: Lock) -> None:
    """So that the next launch asks no index. Losing it is logged, no more."""
    _write(shelf.locks / f"{memory_name(need)}.json", lock)


def forget_lock(shelf: Shelf, need: EnvironmentNeed) -> None:
    """So that the next launch resolves anew."""
    _pinned(shelf, need).unlink(missing_ok=True)
    (shelf.locks / f"{memory_name(need)}.json").unlink(missing_ok=True)


def _pinned(shelf: Shelf, need: EnvironmentNeed) -> Path:
    return shelf.locks / f"{fingerprint(need)}.json"


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
