"""Looking at weights, on this machine or on a hub: from where they are to a complete registration."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, HubReference
from .contributions import Contributions
from .drafts import WEIGHT_SUFFIX, fetch_small_files
from .hubs import HUBS, hub_reference
from .model_draft import name_for, registration_of, spell_size
from .model_folders import draft_from_folder, draft_from_path
from .settings import Settings

INSPECT_SECONDS = 60.0  # small files and headers take well under a second; a disk over the network may sleep

FILES_TO_READ = 20  # more names in an error are not read


async def inspect_model(
    place: str, family: str | None, contributions: Contributions, settings: Settings
) -> dict[str, Any]:
    """As `inspect_path`, in a thread; `place` may also be a hub's id, whose small files are fetched.

    Raises BadRequest also when the disk does not answer in time, and what the hub's source raises.
    """
    named = None if Path(place).is_absolute() else hub_reference(place, None, settings.model_src)
    if named is not None:
        return await _inspect_on_hub(*named, family, contributions, settings)
    try:
        return await asyncio.wait_for(asyncio.to_thread(inspect_path, place, family), INSPECT_SECONDS)
    except TimeoutError as error:
        raise BadRequest(f"{place!r} could not be read within {INSPECT_SECONDS:g} s.", param="model_path") from error


async def _inspect_on_hub(
    scheme: str, reference: HubReference, family: str | None, contributions: Contributions, settings: Settings
) -> dict[str, Any]:
    """From the small files of a repository, pinned to the commit that they were read at."""
    folder, manifest = await fetch_small_files(scheme, reference, contributions, settings)
    if "config.json" not in manifest.listing:
        raise BadRequest(
            f"{scheme}:{reference} holds no config.json, so only its files can tell what it is: fetch the one you want "
            f"and give its path. It holds: {', '.join(sorted(manifest.listing)[:FILES_TO_READ])}.",
            param="model_path",
        )
    draft = await asyncio.to_thread(draft_from_folder, folder)
    size = sum(size for file, size in manifest.listing.items() if file.endswith(WEIGHT_SUFFIX) and "/" not in file)
    sized = msgspec.structs.replace(draft, weight_bytes=size or None, size=spell_size(size / 2) if size else draft.size)
    made = registration_of(sized, reference.name, family)
    (spec,) = made["model_specs"]
    del spec["model_uri"]
    spec |= {"model_id": reference.repository, "model_hub": HUBS[scheme], "model_revision": manifest.commit}
    return made


def inspect_path(path: str, family: str | None = None) -> dict[str, Any]:
    """A registration of the weights at `path`: a folder, its config.json, or a GGUF file.

    family: for `model_family`; else what the files say. Raises BadRequest that says what is missing or wrong.
    """
    place = Path(path.removeprefix("file://"))
    try:
        there = place.is_absolute() and place.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise BadRequest(
            f"{path!r} is not there; give an absolute path, on the server's machine, of a folder of weights or of a "
            "GGUF file; or a hub's id, org/name.",
            param="model_path",
        )
    try:
        draft = draft_from_path(place)
    except OSError as error:
        raise BadRequest(f"{place} cannot be read: {error}.", param="model_path") from error
    return registration_of(draft, name_for(draft.place), family)
