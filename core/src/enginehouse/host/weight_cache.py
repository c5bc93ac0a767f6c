"""Downloaded weights: what lies in the home, how large it is, and removing it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from ..sdk import Conflict, EnginehouseError, ModelFamily, ModelNotFound, Variant, parse_hub_reference, read_manifest
from .drafts import DRAFTS_FOLDER
from .weights import WEIGHTS_FOLDER

REMOVED_PREFIX = ".removed-"


class WeightsNotRemoved(EnginehouseError):
    """The disk would not have it."""

    code = "weights_not_removed"


class CachedWeights(msgspec.Struct, frozen=True, kw_only=True):
    """What one URI brought. model_version: how it is called when it is to be removed; bytes: on the disk, partial
    files too; complete: whether all of it is here; used_by: uids of the models that are declared with it."""

    model_name: str
    model_version: str
    uri: str
    path: str
    bytes: int
    complete: bool
    model_size_in_billions: str | None = None
    model_format: str | None = None
    quantization: str | None = None
    revision: str | None = None
    used_by: tuple[str, ...] = ()


def list_weights(home: Path, families: Iterable[ModelFamily], used: Mapping[str, str]) -> list[CachedWeights]:
    """All downloaded weights, by name. used: uid -> URI of the models that are declared. Reads the disk."""
    known = {uri: (family, one) for family in families for one in family.variants for uri in one.sources}
    found = [_describe(folder, known, used) for folder in (home / WEIGHTS_FOLDER).glob("*/*")]
    return sorted((one for one in found if one), key=lambda one: (one.model_name.lower(), one.model_version))


def find_cached(weights: Iterable[CachedWeights], version: str) -> CachedWeights:
    """The weights of that version or URI, or of that model's name when it has one version here alone.

    Raises ModelNotFound that names those there are.
    """
    held = list(weights)
    named = [one for one in held if one.model_name.lower() == version.lower()]
    for one in [one for one in held if version in (one.model_version, one.uri)] or (named if len(named) == 1 else []):
        return one
    have = ", ".join(one.model_version for one in held) or "none"
    raise ModelNotFound(f"There are no downloaded weights {version!r}. There are: {have}.", param="model_version")


def files_of(weights: CachedWeights) -> list[str]:
    """Paths of all its files. Reads the disk."""
    return sorted(map(str, _walk(Path(weights.path))))


def set_aside(weights: CachedWeights, used: Mapping[str, str]) -> Path:
    """Takes them out of everybody's sight, whole and at once: a launch that comes now downloads anew.

    used: as of this moment, so that no launch slips in between. Returns what `remove_aside` takes. Raises Conflict
    when a model is declared with them, ModelNotFound when somebody was quicker, WeightsNotRemoved.
    """
    users = [uid for uid, uri in used.items() if uri == weights.uri]
    if users:
        raise Conflict(
            f"The weights {weights.model_version} are in use by {', '.join(users)}; terminate that first.",
            param="model_version",
        )
    folder = Path(weights.path)
    aside = folder.with_name(f"{REMOVED_PREFIX}{secrets.token_hex(6)}")
    try:
        folder.rename(aside)
    except FileNotFoundError as error:
        raise ModelNotFound(f"The weights {weights.model_version} are gone already.", param="model_version") from error
    except OSError as error:
        raise WeightsNotRemoved(
            f"The weights in {folder} could not be removed: {error}. Give this server's user the right to change "
            f"{folder.parent}."
        ) from error
    return aside


def remove_aside(aside: Path) -> None:
    """Removes them from the disk. Raises WeightsNotRemoved; what is left then goes when the server starts next."""
    try:
        shutil.rmtree(aside)
    except OSError as error:
        raise WeightsNotRemoved(
            f"The weights are out of use, but not all of {aside} could be removed: {error}. Remove that folder by hand."
        ) from error


def forget_drafts(home: Path, weights: CachedWeights, used: Mapping[str, str]) -> None:
    """Lets the next launch of the same hub's id ask the hub anew which revision is the newest.

    Kept while a model of that repository is declared: its restart must not need the hub.
    """
    repository = _repository(weights.uri)
    if repository in {_repository(uri) for uri in used.values()}:
        return
    for folder in (home / DRAFTS_FOLDER).glob("*/*"):
        manifest = read_manifest(folder)
        if manifest and _repository(manifest.uri) == repository:
            shutil.rmtree(folder, ignore_errors=True)  # one that stays only means an older revision


def _repository(uri: str) -> str:
    """Scheme and repository of a hub's URI; any other URI as it is."""
    return uri.partition("#")[0].partition("@")[0]


def clear_removed(home: Path) -> None:
    """Ends removals that a crash cut short."""
    for folder in (home / WEIGHTS_FOLDER).glob(f"*/{REMOVED_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _describe(
    folder: Path, known: Mapping[str, tuple[ModelFamily, Variant]], used: Mapping[str, str]
) -> CachedWeights | None:
    manifest = read_manifest(folder)
    if manifest is None or folder.name.startswith(REMOVED_PREFIX):
        return None
    family, variant = known.get(manifest.uri, (None, None))
    reference = parse_hub_reference(manifest.uri.partition(":")[2])
    return CachedWeights(
        model_name=family.name if family else reference.repository,
        model_version=version_of(family, variant) if family and variant else folder.name,
        uri=manifest.uri,
        path=str(folder),
        bytes=_bytes(folder),
        complete=manifest.complete,
        model_size_in_billions=variant.size_in_billions if variant else None,
        model_format=variant.format if variant else None,
        quantization=variant.quantization if variant else None,
        revision=manifest.commit,
        used_by=tuple(uid for uid, uri in used.items() if uri == manifest.uri),
    )


def version_of(family: ModelFamily, variant: Variant) -> str:
    """How one variant of a family is called, as Xinference calls it."""
    return f"{family.name}--{variant.size_in_billions}B--{variant.format}--{variant.quantization}"


def _bytes(folder: Path) -> int:
    """Files may vanish under this walk: a download moves them."""
    total = 0
    for file in _walk(folder):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _walk(folder: Path) -> Iterator[Path]:
    """All files; folders that vanish meanwhile are left out."""
    for place, _, files in os.walk(folder):
        yield from (Path(place, file) for file in files)
