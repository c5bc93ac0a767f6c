"""Models launched by a hub's id with no family registered: a family drafted from the repository's small files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, HubReference, Manifest, ModelFamily, Variant, parse_hub_reference, read_manifest
from .contributions import Contributions
from .hubs import hub_reference
from .launch_request import LaunchRequest
from .model_draft import spell_size
from .model_folders import family_from_folder
from .planning import find_family
from .settings import Settings
from .weights import fetch_weights, folder_of

DRAFTS_FOLDER = "drafts"
SMALL_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", "README.md")
WEIGHT_SUFFIX = ".safetensors"
BYTES_PER_PARAMETER = 2  # of weights as they are published; only a size to tell variants apart
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_QUANTIZATION = re.compile(r"(?:^|[-._/])((?:IQ|Q|TQ)\d(?:_[A-Z0-9]+)*|BF16|F16|F32|MXFP4)(?=[-./]|$)", re.IGNORECASE)
_BILLIONS = re.compile(r"[-_](\d+(?:\.\d+)?)[Bb](?=[-_./@]|$)")


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
    if catalogued := family_on_hub(contributions, kind.name, f"{scheme}:{reference}"):
        return catalogued
    folder, manifest = await fetch_small_files(scheme, reference, contributions, settings)
    return family_from_draft(request.model_name, kind.name, folder, manifest, f"{scheme}:{reference}")


def family_on_hub(contributions: Contributions, model_type: str, uri: str) -> ModelFamily | None:
    """The known family whose weights are exactly there, with those variants alone: it knows more than a draft."""
    for family in contributions.families:
        if family.model_type.lower() == model_type.lower():
            found = [
                (one, source) for one in family.variants for source in one.sources if source.lower() == uri.lower()
            ]
            if found:
                variants = tuple(msgspec.structs.replace(one, sources=(source,)) for one, source in found)
                return msgspec.structs.replace(family, variants=variants)
    return None


async def fetch_small_files(
    scheme: str, reference: HubReference, contributions: Contributions, settings: Settings
) -> tuple[Path, Manifest]:
    """What a repository says of itself: a folder of its small files, and the list of all. Raises EnginehouseError."""
    small = msgspec.structs.replace(reference, patterns=SMALL_FILES)
    uri = f"{scheme}:{small}"
    await fetch_weights(uri, contributions, settings.home, lambda progress: None, DRAFTS_FOLDER)
    folder = folder_of(settings.home / DRAFTS_FOLDER, uri)
    manifest = read_manifest(folder)
    if manifest is None:
        raise BadRequest(f"What {scheme}:{reference} is made of is not known.", param="model_name")
    return folder, manifest


def family_from_draft(name: str, model_type: str, folder: Path, manifest: Manifest, uri: str) -> ModelFamily:
    """The family, from the small files in `folder` and the list of all files. uri: as the user asked for it.

    Raises BadRequest when the repository is no model that can be recognised.
    """
    scheme, _, text = uri.partition(":")
    pinned = msgspec.structs.replace(parse_hub_reference(text), revision=manifest.commit)
    described = f"{uri} at {manifest.commit[:12]}."
    gguf = gguf_variants(scheme, pinned, manifest.listing)
    if gguf and ("config.json" not in manifest.listing or pinned.patterns):
        abilities = ("generate", "chat")  # nearly every GGUF file carries a chat template
        return ModelFamily(name=name, model_type=model_type, variants=gguf, abilities=abilities, description=described)
    check_has_config(manifest, uri)
    family = family_from_folder(folder, name, model_type)
    size = weights_of(manifest)
    change: dict[str, Any] = {"sources": (f"{scheme}:{pinned}",)}
    if size:
        change |= {"weight_bytes": size, "size_in_billions": spell_size(size / BYTES_PER_PARAMETER)}
    variants = tuple(msgspec.structs.replace(variant, **change) for variant in family.variants)
    return msgspec.structs.replace(family, variants=variants, description=described)


def check_has_config(manifest: Manifest, uri: str) -> None:
    """Raises BadRequest when the repository's files do not say what they are."""
    if "config.json" not in manifest.listing:
        raise BadRequest(
            f"{uri} holds no config.json, so what it is cannot be told. Register it (`enginehouse register`), or give "
            f"its family's name. It holds: {', '.join(sorted(manifest.listing)[:20])}.",
            param="model_name",
        )


def weights_of(manifest: Manifest) -> int:
    """Bytes of the weights that engines load."""
    return sum(size for file, size in manifest.listing.items() if file.endswith(WEIGHT_SUFFIX) and "/" not in file)


def gguf_variants(scheme: str, pinned: HubReference, listing: Mapping[str, int]) -> tuple[Variant, ...]:
    """One variant for each GGUF model in the list of files (a model may be split into several), smallest first."""
    sizes: dict[str, int] = {}
    for file, size in listing.items():
        wanted = not pinned.patterns or pinned.wants(file)
        if wanted and file.endswith(".gguf") and not Path(file).name.startswith("mmproj"):
            pattern = _SPLIT.sub("-*-of-*.gguf", file)
            sizes[pattern] = sizes.get(pattern, 0) + size
    return tuple(
        _gguf_variant(f"{scheme}:{msgspec.structs.replace(pinned, patterns=(pattern,))}", pattern, size)
        for pattern, size in sorted(sizes.items(), key=lambda item: item[1])
    )


def _gguf_variant(source: str, pattern: str, size: int) -> Variant:
    quantization = _QUANTIZATION.search(pattern)
    named = _BILLIONS.search(source)
    return Variant(
        format="ggufv2",
        size_in_billions=named[1].replace(".", "_") if named else spell_size(size),
        sources=(source,),
        quantization=quantization[1].upper() if quantization else "none",
        weight_bytes=size,
    )
