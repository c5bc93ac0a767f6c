"""The catalogue: the families that ship with Enginehouse, one JSON file each in the folder `families`.

A file says what `ModelFamily` says, but for its variants: an entry of `weights` stands for one variant a word in
`quantizations`, which replaces `{quantization}` in its sources. docs/how-to/add-a-family.md explains every field.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..sdk import InvalidSpec, ModelFamily, Variant, VirtualEnvironment

FAMILIES = Path(__file__).with_name("families")
PLACE = "{quantization}"
PACKAGE = "package:"


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sets of weights of one format and size. architectures: where they differ from the family's."""

    format: str
    size_in_billions: str
    sources: tuple[str, ...]
    quantizations: tuple[str, ...] = ("none",)
    architectures: tuple[str, ...] | None = None


class FamilyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file holds; the fields mean what those of `ModelFamily` mean."""

    name: str
    model_type: str
    description: str
    abilities: tuple[str, ...]
    weights: tuple[Weights, ...]
    licence: str = ""
    languages: tuple[str, ...] = ()
    context_length: int | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    virtualenv: VirtualEnvironment | None = None
    facts: dict[str, Any] = {}
    architectures: tuple[str, ...] = ()


class Catalogue(NamedTuple):
    """Families in the order of their files' names, and a sentence for each file that could not be read."""

    families: tuple[ModelFamily, ...]
    faults: tuple[str, ...]


_decoder = msgspec.json.Decoder(FamilyFile)


def read_catalogue(folder: Path = FAMILIES) -> Catalogue:
    """Reads every family file. One that is broken costs only its own family."""
    families: list[ModelFamily] = []
    faults: list[str] = []
    for file in sorted(folder.glob("*.json")):
        try:
            families.append(_family(read_file(file)))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, InvalidSpec) as error:
            faults.append(f"{file.name}: {error}")
    return Catalogue(tuple(families), tuple(faults))


def read_file(file: Path) -> FamilyFile:
    """Raises msgspec.DecodeError that names the field, OSError."""
    return _decoder.decode(file.read_bytes())


def _family(file: FamilyFile) -> ModelFamily:
    return ModelFamily(
        name=file.name,
        model_type=file.model_type,
        variants=tuple(variant for weights in file.weights for variant in _variants(file, weights)),
        abilities=file.abilities,
        context_length=file.context_length,
        languages=file.languages,
        description=file.description,
        licence=file.licence,
        tool_parser=file.tool_parser,
        reasoning_parser=file.reasoning_parser,
        virtualenv=file.virtualenv,
        facts=file.facts,
    )


def _variants(file: FamilyFile, weights: Weights) -> Iterator[Variant]:
    sources = tuple(source for source in weights.sources if _can_be_asked(source))
    for quantization in weights.quantizations:
        uris = tuple(source.replace(PLACE, quantization) for source in sources)
        yield Variant(
            format=weights.format,
            size_in_billions=weights.size_in_billions,
            quantization=quantization,
            sources=uris,
            architectures=file.architectures if weights.architectures is None else weights.architectures,
            files=_files(uris),
        )


def _files(sources: tuple[str, ...]) -> tuple[str, ...]:
    """The file that the sources name; none where they give a pattern, as for files in parts."""
    named = sources[0].partition("#")[2] if sources else ""
    return (named,) if named and "*" not in named else ()


def _can_be_asked(source: str) -> bool:
    """Sources that need no download are taken first, so one in a package that is not installed must not be named."""
    if not source.startswith(PACKAGE):
        return True
    return importlib.util.find_spec(source.removeprefix(PACKAGE).partition("/")[0]) is not None
