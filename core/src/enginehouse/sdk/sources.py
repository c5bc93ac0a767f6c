"""Sources: where weights come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

import msgspec

from .errors import BadRequest

MANIFEST_FILE = ".enginehouse.json"
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)


class FetchProgress(msgspec.Struct, frozen=True):
    """How far the fetch of one file has come, in bytes; `total_bytes` is None while unknown.

    A source that fetches several files first says each of them with what it has of it already, so that the
    sum is right from the start.
    """

    file: str
    done_bytes: int
    total_bytes: int | None = None


class Fetch(Protocol):
    """Brings the weights named by `reference` to this machine.

    reference: the URI without its scheme.
    folder: a private folder of this reference, to download into; a source whose weights already lie on
        this machine leaves it alone. One that downloads leaves a `Manifest` there.
    report: called as bytes arrive, and at least every second; raises Cancelled when nobody wants them any more.
    Returns the folder (or file) that holds the weights. Raises EnginehouseError with what to do.
    """

    def __call__(self, reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path: ...


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A source. scheme: what URIs begin with; fetch: "module:function" with the shape of `Fetch`.

    local: its weights always lie on this machine already, so that `fetch` only finds them.
    """

    scheme: str
    fetch: str
    local: bool = False
    summary: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a downloading source leaves in its folder, as MANIFEST_FILE.

    uri: whole, with scheme. commit: what the revision stood for. files: those wanted, by name, in bytes.
    listing: every file of the repository, in bytes. complete: all of `files` are here and their checksums agreed.
    """

    uri: str
    commit: str
    files: dict[str, int]
    listing: dict[str, int] = {}
    complete: bool = False


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None when there is none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest, whole or not at all."""
    beside = folder / f"{MANIFEST_FILE}.new"
    beside.write_bytes(msgspec.json.encode(manifest))
    beside.replace(folder / MANIFEST_FILE)


class HubReference(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a hub. patterns: shell patterns of the files wanted; none for those that engines load."""

    repository: str
    revision: str | None = None
    patterns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.repository.rpartition("/")[2]

    def wants(self, file: str) -> bool:
        """Whether a pattern names this file, by its whole path or by its last part."""
        return any(fnmatchcase(file, one) or fnmatchcase(file.rpartition("/")[2], one) for one in self.patterns)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return self.repository + revision + (f"#{','.join(self.patterns)}" if self.patterns else "")


def parse_hub_reference(text: str) -> HubReference:
    """Reads `org/name[@revision][#pattern,...]`. Raises BadRequest that shows the form."""
    place, _, patterns = text.partition("#")
    repository, at, revision = place.partition("@")
    wanted = tuple(pattern.strip() for pattern in patterns.split(",") if pattern.strip())
    parts = repository.split("/")
    fine = _REPOSITORY.fullmatch(repository) and not {".", ".."} & set(parts)
    if not fine or (at and not _REVISION.fullmatch(revision)) or ".." in revision:
        raise BadRequest(
            f"{text!r} names no model on a hub; write org/name, org/name@revision or "
            "org/name@revision#pattern,pattern where patterns choose files, e.g. org/name#*Q4_K_M.gguf."
        )
    return HubReference(repository=repository, revision=revision or None, patterns=wanted)
