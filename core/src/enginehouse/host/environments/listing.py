"""Environments as people see them: which there are, for whom, and which is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ...sdk import BadRequest, EnginehouseError
from ..store import Declared
from .collection import references
from .shelf import EnvironmentRecord, Shelf

LEAST_LETTERS = 4  # of a digest, to name an environment by its beginning


class EnvironmentUnknown(EnginehouseError):
    """There is no such environment."""

    status, code, kind = 404, "environment_not_found", "invalid_request_error"


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True):
    """One environment. packages: how many; models: uids of those declared that run in it; model_names: their names, or
    that of the model for which it was made; in_use: whether a worker runs in it.

    own_bytes: of size_bytes, what no other environment shares. Times in seconds since 1970.
    """

    digest: str
    provisioner: str
    engine: str
    asked_by: str
    python: str
    platform: str
    accelerator: str
    packages: int
    size_bytes: int
    own_bytes: int
    made_ts: float
    used_ts: float
    path: str
    real_path: str
    model_names: tuple[str, ...]
    models: tuple[str, ...] = ()
    in_use: bool = False


def list_environments(shelf: Shelf, declared: Iterable[Declared], workers: Path) -> list[EnvironmentView]:
    """All complete environments, by digest. Reads the disk."""
    models: dict[str, list[Declared]] = {}
    for one in declared:
        if one.environment:
            models.setdefault(one.environment.digest, []).append(one)
    running = references((), workers)
    return [view_of(record, shelf, models, running) for record in shelf.records()]


def view_of(
    record: EnvironmentRecord, shelf: Shelf, models: Mapping[str, list[Declared]], running: frozenset[str]
) -> EnvironmentView:
    folder, declared = shelf.folder(record.digest), models.get(record.digest, [])
    return EnvironmentView(
        digest=record.digest,
        provisioner=record.provisioner,
        engine=record.engine,
        asked_by=record.asked_by,
        python=record.lock.python,
        platform=record.lock.platform,
        accelerator=record.lock.accelerator,
        packages=len(record.lock.packages),
        size_bytes=record.size_bytes,
        own_bytes=record.own_bytes,
        made_ts=record.made_ts,
        used_ts=shelf.used_ts(record.digest),
        path=str(folder),
        real_path=str(folder.resolve()),
        model_names=tuple(dict.fromkeys(one.request.model_name for one in declared)) or (record.asked_by,),
        models=tuple(one.uid for one in declared),
        in_use=record.digest in running,
    )


def find_record(shelf: Shelf, digest: str) -> EnvironmentRecord:
    """The environment whose digest begins so. Raises EnvironmentUnknown, BadRequest where several do."""
    found = [record for record in shelf.records() if record.digest.startswith(digest.lower())]
    if len(digest) < LEAST_LETTERS or not found:
        raise EnvironmentUnknown(
            f"There is no environment {digest!r}; `enginehouse env list` shows them.", param="digest"
        )
    if len(found) > 1:
        raise BadRequest(
            f"{len(found)} environments begin with {digest!r}: {', '.join(one.digest[:12] for one in found)}. Give "
            "more letters.",
            param="digest",
        )
    return found[0]
