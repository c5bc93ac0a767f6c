"""Whether a model's weights lie on this machine already. Looks, and fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..sdk import read_manifest
from .contributions import Contributions
from .weights import WEIGHTS_FOLDER, folder_of


def lie_here(sources: Iterable[str], contributions: Contributions, home: Path) -> bool:
    """Whether one of these URIs need not be fetched."""
    return any(_lies_here(uri, contributions, home) for uri in sources)


def _lies_here(uri: str, contributions: Contributions, home: Path) -> bool:
    scheme, _, reference = uri.partition(":")
    if scheme == "file":
        return Path(reference).exists()
    source = contributions.source(scheme)
    if source is not None and source.local:
        return True
    manifest = read_manifest(folder_of(home / WEIGHTS_FOLDER, uri))
    return manifest is not None and manifest.complete
