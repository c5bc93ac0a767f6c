"""Clearing up: environments, carried code and bytecode that nobody refers to any more."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from ..store import Declared
from .holding import is_held, put_away, sweep
from .shelf import DIGEST_LETTERS, Shelf
from .trees import measure

FRESH_SECONDS = 60.0  # what was granted so lately may be on its way into a worker's order; that takes milliseconds

_DIGEST = re.compile(rb"/environments/(?:carried/|bytecode/)?([0-9a-f]{%d})(?![0-9a-f])" % DIGEST_LETTERS)


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed. freed_bytes: what that gave back, files that others link to not counted."""

    environments: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    bytecode: tuple[str, ...] = ()
    half_built: int = 0
    freed_bytes: int = 0


def references(declared: Iterable[Declared], workers: Path) -> frozenset[str]:
    """Digests that must stay: of what shall run, and of what runs by its order, whoever started it."""
    found = {one.environment.digest for one in declared if one.environment}
    for order in workers.glob("*/order.json"):
        with suppress(OSError):  # it has ended meanwhile
            found |= {digest.decode() for digest in _DIGEST.findall(order.read_bytes())}
    return frozenset(found)


def collect(shelf: Shelf, referred: frozenset[str], keep_days: float = 0.0, dry_run: bool = False) -> Collected:
    """Removes what nobody refers to and nobody used for so many days. Raises OSError when something resists."""
    oldest = time.time() - max(FRESH_SECONDS, keep_days * 86400)
    idle = [
        record
        for record in shelf.records()
        if record.digest not in referred and shelf.used_ts(record.digest) < oldest and not is_held(shelf, record.digest)
    ]
    carried = [folder for folder in shelf.carried.glob("*") if folder.name not in referred and _older(folder, oldest)]
    gone = {record.digest for record in idle}
    bytecode = [
        folder
        for folder in shelf.bytecode.glob("*")
        if folder.name not in referred and _is_stale(folder, shelf, gone, oldest)
    ]
    freed = sum(record.own_bytes for record in idle) + sum(measure(folder).total for folder in (*carried, *bytecode))
    if not dry_run:
        for folder in (*(shelf.folder(record.digest) for record in idle), *carried, *bytecode):
            put_away(shelf, folder)
        for record in idle:
            (shelf.held / record.digest).unlink(missing_ok=True)
    return Collected(
        environments=tuple(record.digest for record in idle),
        carried=tuple(folder.name for folder in carried),
        bytecode=tuple(folder.name for folder in bytecode),
        half_built=0 if dry_run else sweep(shelf),
        freed_bytes=freed,
    )


def _is_stale(folder: Path, shelf: Shelf, gone: set[str], oldest: float) -> bool:
    """Whether it was compiled for an environment that goes, or for one that is not here."""
    if folder.name in gone:
        return True
    return not shelf.folder(folder.name).exists() and _older(folder, oldest)


def _older(folder: Path, oldest: float) -> bool:
    try:
        return folder.stat().st_mtime < oldest
    except OSError:
        return False  # it is gone
