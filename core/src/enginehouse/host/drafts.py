"""Models launched by a hub's id with no family registered: a family drafted from the repository's small files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from ..sdk import BadRequest, Manifest, ModelFamily, Variant, read_manifest
from .contributions import Contributions
from .hubs import hub_reference
from .launch_request import LaunchRequest
from .model_folders import family_from_folder
from .planning import find_family
from .settings import Settings
from .weights import fetch_weights, folder_of

DRAFTS_FOLDER = "drafts"
SMALL_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", "README.md")
WEIGHT_SUFFIX = ".safetensors"


async def draft_family(request: LaunchRequest, contributions: Contributions, settings: Settings) -> ModelFamily | None:
    """The family of a hub's id, its revision pinned, or of `model_path`; None when the name is neither or is known.

    Fetches a few kilobytes, once: later launches and restarts find them in the home. Raises EnginehouseError.
    """
    if request.model_path:  # headers of large files are read: not on the event loop
        return await asyncio.to_thread(find_family, request, contributions)
    if contributions.family(request.model_type, request.model_name):
        return None
    named = hub_reference(request.model_name, request.download_hub, settings.model_src)
    kind = contributions.model_type(request.model_type)
    if named is None or kind is None:
        return None
    scheme, reference = named
    small = msgspec.structs.replace(reference, patterns=SMALL_FILES)
    uri = f"{scheme}:{small}"
    await fetch_weights(uri, contributions, settings.home, lambda progress: None, DRAFTS_FOLDER)
    folder = folder_of(settings.home / DRAFTS_FOLDER, uri)
    manifest = read_manifest(folder)
    if manifest is None:
        raise BadRequest(f"What {scheme}:{reference} is made of is not known.", param="model_name")
    return family_from_draft(request.model_name, kind.name, folder, manifest, f"{scheme}:{reference}")


def family_from_draft(name: str, model_type: str, folder: Path, manifest: Manifest, uri: str) -> ModelFamily:
    """The family, from the small files in `folder` and the list of all files. uri: as the user asked for it.

    Raises BadRequest when the repository is no model that can be recognised.
    """
    if "config.json" not in manifest.listing:
        raise BadRequest(
            f"{uri} holds no config.json, so what it is cannot be told. Register it (`enginehouse register`), or give "
            f"its family's name. It holds: {', '.join(sorted(manifest.listing)[:20])}.",
            param="model_name",
        )
    family = family_from_folder(folder, name, model_type)
    size = sum(size for file, size in manifest.listing.items() if file.endswith(WEIGHT_SUFFIX) and "/" not in file)
    return msgspec.structs.replace(
        family,
        variants=tuple(_of_hub(variant, uri, manifest.commit, size) for variant in family.variants),
        description=f"{uri} at {manifest.commit[:12]}.",
    )


def _of_hub(variant: Variant, uri: str, commit: str, size: int) -> Variant:
    """Pinned to the commit that the draft was made from: what is planned is what will be loaded."""
    scheme, _, text = uri.partition(":")
    place, hash_mark, patterns = text.partition("#")
    pinned = f"{scheme}:{place.partition('@')[0]}@{commit}{hash_mark}{patterns}"
    billions = f"{max(size / 2 / 1e9, 1e-6):.6f}".rstrip("0").rstrip(".").replace(".", "_")
    return msgspec.structs.replace(variant, sources=(pinned,), weight_bytes=size or None, size_in_billions=billions)
