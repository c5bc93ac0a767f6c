"""Installed distributions of ours: their files, also when they are installed editable, and what they require."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ...sdk import LaunchFailed

CORE = "enginehouse-core"
GROUP = "enginehouse"
# Of core, what a worker imports; the rest is the server's.
WORKERS_SHARE = re.compile(
    r"enginehouse/(__init__\.py|py\.typed|(sdk|runner|builtin/parsers)/.*|builtin/__init__\.py)$"
)


class SourceFile(NamedTuple):
    """name: where it goes, relative to a folder on sys.path; place: where it lies."""

    name: str
    place: Path


class Bill(NamedTuple):
    """What carrying some distributions comes to. distributions: those and the plugins that they build on."""

    distributions: tuple[metadata.Distribution, ...]
    requirements: tuple[str, ...]


def bill_of(names: Iterable[str]) -> Bill:
    """Which distributions must be carried for these to work, and what they require of others without any extra.

    Raises LaunchFailed when one is not installed.
    """
    found: dict[str, metadata.Distribution] = {}
    required: dict[str, None] = {}
    todo = [canonicalize_name(name) for name in (CORE, *names)]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = distribution(name)
        for requirement in _base_requirements(found[name]):
            if _is_ours(requirement.name):
                todo.append(canonicalize_name(requirement.name))
            else:
                required[str(requirement)] = None
    return Bill(tuple(found[name] for name in sorted(found)), tuple(sorted(required)))


def distribution(name: str) -> metadata.Distribution:
    """Raises LaunchFailed when it is not installed."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise LaunchFailed(f"{name} is not installed any more; see `enginehouse plugins`.") from error


def files_of(one: metadata.Distribution) -> list[SourceFile]:
    """Its modules and data, by name; no scripts, no bytecode, no metadata."""
    files = _editable_files(one) if is_editable(one) else _recorded_files(one)
    return sorted(file for file in files if "__pycache__" not in file.name and not file.name.endswith(".pyc"))


def workers_files(one: metadata.Distribution) -> list[SourceFile]:
    """Those that a worker may import: all of a plugin's, some of core's."""
    files = files_of(one)
    if canonicalize_name(one.name) != CORE:
        return files
    return [file for file in files if WORKERS_SHARE.match(file.name)]


def metadata_files(one: metadata.Distribution) -> dict[str, str]:
    """METADATA and entry_points.txt, by name, in the folder that `importlib.metadata` looks for."""
    folder = dist_info(one)
    found = {name: one.read_text(name) for name in ("METADATA", "entry_points.txt")}
    return {f"{folder}/{name}": text for name, text in found.items() if text}


def dist_info(one: metadata.Distribution) -> str:
    """The name of its metadata's folder. Source: the wheel format, PEP 427."""
    return f"{canonicalize_name(one.name).replace('-', '_')}-{one.version}.dist-info"


def is_editable(one: metadata.Distribution) -> bool:
    """Source: direct_url.json, PEP 610."""
    text = one.read_text("direct_url.json")
    return bool(text and msgspec.json.decode(text).get("dir_info", {}).get("editable"))


def _base_requirements(one: metadata.Distribution) -> Iterator[Requirement]:
    for requirement in map(Requirement, one.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            requirement.marker = None  # it holds here; the environment is made for here
            yield requirement


def _is_ours(name: str) -> bool:
    """Whether it is core or a plugin, which are carried and not installed."""
    if canonicalize_name(name) == CORE:
        return True
    try:
        return any(entry.group == GROUP for entry in metadata.distribution(name).entry_points)
    except metadata.PackageNotFoundError:
        return False


def _recorded_files(one: metadata.Distribution) -> Iterator[SourceFile]:
    for file in one.files or ():
        outside = ".." in file.parts or file.parts[0].endswith((".dist-info", ".pth"))
        if not outside:
            yield SourceFile(file.as_posix(), Path(str(file.locate())))


def _editable_files(one: metadata.Distribution) -> Iterator[SourceFile]:
    """An editable install records only where its source lies: its packages are those that its entry points name."""
    for name in sorted({entry.value.partition(":")[0].partition(".")[0] for entry in one.entry_points}):
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise LaunchFailed(f"{one.name} names the module {name}, which cannot be found; reinstall it.")
        for folder in spec.submodule_search_locations or ():
            yield from _tree(Path(folder), name)
        if spec.submodule_search_locations is None and spec.origin:
            yield SourceFile(Path(spec.origin).name, Path(spec.origin))


def _tree(folder: Path, name: str) -> Iterator[SourceFile]:
    for place, _, files in os.walk(folder):
        inner = Path(place).relative_to(folder)
        for file in files:
            yield SourceFile((Path(name) / inner / file).as_posix(), Path(place, file))
