"""Certificates of plugins: what the conformance kit found, and whether it still speaks of the plugin that is installed.

A certificate is a JSON file, `certificate.json` in the plugin's package or `certificates/<plugin>.json` in the home. It
carries a digest of itself and one of the plugin's files, so that an altered certificate and a changed plugin are both
noticed. It is no signature: whoever makes a plugin can certify it, and whoever doubts can run the kit again.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import importlib_metadata
import msgspec

from ..sdk import EnginehouseError
from .home import write_whole
from .plugin_loading import GROUP, PluginRecord

FILE = "certificate.json"
FOLDER = "certificates"
LEFT_OUT = ("__pycache__",)
READ_BYTES = 2**20
REMEMBERED = 256  # digests of plugins' files; more plugins than anybody has installed

Standing = Literal["valid", "altered", "other version", "changed", "unreadable"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where the checks ran."""

    system: str
    processor: str
    python: str
    devices: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked: an engine with a model, or another thing that the plugin contributes."""

    kind: str
    name: str
    model: str | None = None
    passed: int = 0
    failed: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What the kit found. level: the highest of which every check that applies passed; None for none.

    made_at: ISO 8601. core: version of enginehouse-core. whole: no check was left out. files: digest of the plugin's
    files; digest: of everything else here.
    """

    plugin: str
    distribution: str
    version: str
    core: str
    level: Literal["bronze", "silver", "gold"] | None
    made_at: str
    machine: Machine
    subjects: tuple[Subject, ...]
    files: str
    whole: bool = True
    digest: str = ""

    @property
    def passed(self) -> int:
        return sum(subject.passed for subject in self.subjects)

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(f"{subject.name}: {name}" for subject in self.subjects for name in subject.failed)


class CertificateView(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a certificate. level: None unless it is to be trusted; reason: why it is not."""

    standing: Standing
    level: str | None = None
    made_at: str | None = None
    passed: int = 0
    failed: tuple[str, ...] = ()
    place: str = ""
    reason: str | None = None


def sealed(certificate: Certificate) -> Certificate:
    """The same with its digest."""
    return msgspec.structs.replace(certificate, digest=_digest_of(certificate))


def write_certificate(certificate: Certificate, file: Path) -> None:
    """Writes it, whole or not at all. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, msgspec.json.format(msgspec.json.encode(sealed(certificate)), indent=2) + b"\n")


def view_certificate(record: PluginRecord, home: Path) -> CertificateView | None:
    """What stands about a plugin, the home's certificate before the package's; None where there is none."""
    module = module_of(record.name)
    package = package_of(module) if module else None
    for file in (home / FOLDER / f"{record.name}.json", *([package / FILE] if package and package.is_dir() else [])):
        if file.is_file():
            return _view(file, record, package)
    return None


def describe_records(records: Iterable[PluginRecord], home: Path) -> list[dict[str, Any]]:
    """Records as they are shown, each with its `certificate`. Reads files: not for an event loop."""
    return [
        {**msgspec.to_builtins(record), "certificate": msgspec.to_builtins(view_certificate(record, home))}
        for record in records
    ]


def _view(file: Path, record: PluginRecord, package: Path | None) -> CertificateView:
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Certificate)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        return CertificateView(standing="unreadable", place=str(file), reason=f"It cannot be read: {error}.")
    standing, reason = _standing(found, record, package)
    return CertificateView(
        standing=standing,
        level=found.level if standing == "valid" else None,
        made_at=found.made_at,
        passed=found.passed,
        failed=found.failed,
        place=str(file),
        reason=reason,
    )


def _standing(found: Certificate, record: PluginRecord, package: Path | None) -> tuple[Standing, str | None]:
    again = f"Run `enginehouse certify {record.name}`."
    if found.digest != _digest_of(found):
        return "altered", f"It was altered after it was made. {again}"
    if (found.plugin, found.version) != (record.name, record.version):
        return "other version", f"It is about {found.plugin} {found.version}, this is {record.version}. {again}"
    if package is None or found.files != files_digest(package):
        return "changed", f"The plugin's files are not those that were checked. {again}"
    return "valid", None


def _digest_of(certificate: Certificate) -> str:
    plain = msgspec.structs.replace(certificate, digest="")
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def module_of(plugin: str) -> str | None:
    """The light module that a plugin's entry point names; None when nothing of that name is installed."""
    found = list(importlib_metadata.entry_points(group=GROUP, name=plugin))
    return str(found[0].value).partition(":")[0] if found else None


def package_of(module: str) -> Path | None:
    """The folder of a module's top-level package, or its file; nothing of it is imported."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    place = folders[0] if folders else spec.origin
    return Path(place) if place else None


def files_digest(package: Path) -> str:
    """SHA-256 over names and contents of all files of a package, its certificate and bytecode left out.

    Raises EnginehouseError when a file cannot be read.
    """
    files = sorted(_files(package))
    try:
        known = tuple((file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
        return _files_digest(package, known)
    except OSError as error:
        raise EnginehouseError(f"The files of {package} cannot be read: {error}.") from error


def _files(package: Path) -> Iterator[Path]:
    if package.is_file():
        yield package
        return
    for file in package.rglob("*"):
        inside = file.relative_to(package)
        if file.is_file() and not set(LEFT_OUT) & set(inside.parts) and inside != Path(FILE):
            yield file


@lru_cache(REMEMBERED)
def _files_digest(package: Path, known: Iterable[tuple[Path, int, int]]) -> str:
    """Remembered by sizes and times: a list of plugins is asked for often, and weights may lie in a package."""
    whole = hashlib.sha256()
    for file, size, _ in known:
        name = file.name if file == package else file.relative_to(package).as_posix()
        whole.update(f"{name}\0{size}\0".encode())
        with file.open("rb") as stream:
            while part := stream.read(READ_BYTES):
                whole.update(part)
    return whole.hexdigest()
