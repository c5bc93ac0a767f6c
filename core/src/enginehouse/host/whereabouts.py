"""Where a model's weights lie, without fetching anything."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec

from ..sdk import EnginehouseError, FetchProgress, Manifest, read_manifest
from .contributions import Contributions
from .targets import resolve
from .weights import WEIGHTS_FOLDER, folder_of

logger = logging.getLogger(__name__)


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Weights as they are now. path: where they lie, once all are here. Bytes are None while nobody knows."""

    source: str
    path: str | None = None
    bytes_on_disk: int | None = None
    bytes_to_download: int | None = None


def find_weights(source: str, contributions: Contributions, home: Path, known_bytes: int | None = None) -> Whereabouts:
    """Looks for the weights of a URI. known_bytes: what a family says of their size, used when no file does."""
    scheme, _, reference = source.partition(":")
    spec = contributions.source(scheme)
    if spec is None:
        return Whereabouts(source=source)
    if spec.local:
        return _local(source, _find(spec.fetch, reference))
    folder = folder_of(home / WEIGHTS_FOLDER, source)
    manifest = read_manifest(folder)
    if manifest is None:
        return Whereabouts(source=source, bytes_on_disk=0, bytes_to_download=known_bytes)
    return _downloaded(source, folder, manifest)


def _find(fetch: str, reference: str) -> Path | None:
    """A local source only looks; it is given a folder that is not there, and leaves it alone."""
    with contextlib.suppress(EnginehouseError):
        try:
            return Path(resolve(fetch)(reference, Path("/nonexistent"), _ignore))
        except Exception:  # a source is foreign code, and this only looks
            logger.warning("source %s could not look for %r", fetch, reference, exc_info=True)
    return None


def _ignore(progress: FetchProgress) -> None:
    """A local source has no progress."""


def _local(source: str, place: Path | None) -> Whereabouts:
    if place is None:
        return Whereabouts(source=source, bytes_on_disk=0)
    return Whereabouts(source=source, path=str(place), bytes_on_disk=_size(place), bytes_to_download=0)


def _downloaded(source: str, folder: Path, manifest: Manifest) -> Whereabouts:
    here = sum(_size(folder / name) for name in manifest.files)
    left = 0 if manifest.complete else max(0, sum(manifest.files.values()) - here)
    path = str(folder) if manifest.complete else None
    return Whereabouts(source=source, path=path, bytes_on_disk=here, bytes_to_download=left)


def _size(place: Path) -> int:
    try:
        files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0  # somebody removes them at this moment
