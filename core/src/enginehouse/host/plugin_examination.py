"""What a plugin would bring, found out before it is installed: fetched into a folder of its own, looked at beside the
server. What was examined is kept for a while under its digest, so that what is installed is what was shown."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from ..sdk import Asks, BadRequest, LaunchFailed, PackageIndexes
from ..sdk.plugin_packages import PackageFound, PackageOrder, PackageOutcome
from .certificates import CertificateView
from .children import Child, bare_environment, run_child
from .contributions import Claim, Contributions
from .home import write_whole
from .plugin_loading import PluginRecord
from .plugin_probe import Probed
from .plugin_shelf import EXAMINED, Shelf
from .settings import Settings

FETCHER = "enginehouse.builtin.plugin_packages"
PROBE = "enginehouse.host.plugin_probe"
FETCH_SECONDS = 300.0  # a light half is kilobytes; one that comes as source is built, with tools that are fetched
PROBE_SECONDS = 10.0  # for an interpreter to start, on top of what each plugin may take
HOOKS_COUNTED = 10  # each hook, and the import, may take as long as a plugin may
KEPT_SECONDS = 3600.0  # for somebody to read what it asks for
PACKAGE_FILE = "packages.json"
RESULT_FILE = "examination.json"
SITE = "site"


class PluginRefused(BadRequest):
    """A plugin that may not be installed here."""

    code = "plugin_refused"


class PluginSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a plugin comes from: a requirement, or a place on the server's machine; and which indexes are asked."""

    source: str
    indexes: PackageIndexes = PackageIndexes()


class ExaminedPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin of a distribution. contributes: names by kind; requirements: of its engines' environments.

    certificate: what stands in it about these very files; None without one.
    """

    name: str
    contributes: dict[str, list[str]]
    asks: Asks
    requirements: dict[str, tuple[str, ...]]
    certificate: CertificateView | None


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What installing would bring.

    digest: names exactly these files. adds: packages that come along, "name==version". replaces: the version that is
    installed now. upgrades: uids of the models whose workers would be replaced. size_bytes: of its files.
    """

    digest: str
    distribution: str
    version: str
    source: str
    plugins: tuple[ExaminedPlugin, ...]
    requires: tuple[str, ...]
    adds: tuple[str, ...]
    size_bytes: int
    replaces: str | None = None
    upgrades: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An examination with what is needed to install it."""

    examination: Examination
    claims: dict[str, tuple[Claim, ...]]
    modules: tuple[str, ...]


async def examine(wish: PluginSource, settings: Settings, shelf: Shelf) -> Kept:
    """Fetches, builds where it comes as source, and looks. Nothing that the server uses changes.

    Raises PluginRefused for what is no plugin, or for another core, or broken; LaunchFailed with the words of what
    failed.
    """
    _check_source(wish.source)
    sweep_examined(shelf)
    folder = shelf.root / EXAMINED / f"new-{secrets.token_hex(6)}"
    site = folder / SITE
    site.mkdir(mode=0o700, parents=True)
    try:
        found = await _fetch(wish, site, shelf)
        probed = await _probe(site, settings)
        kept = _kept(wish, found, probed, shelf)
        await asyncio.to_thread(_keep, kept, folder, shelf)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    return kept


def recall_examined(digest: str, shelf: Shelf) -> Kept:
    """What was examined under this digest. Raises PluginRefused when it is not kept any more."""
    try:
        if not digest.isalnum():
            raise FileNotFoundError(digest)
        return msgspec.json.decode((shelf.root / EXAMINED / digest / RESULT_FILE).read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise PluginRefused(
            f"Nothing examined has the digest {digest!r}. Examine the plugin first (POST /v1/plugin_examinations); "
            f"what was examined is kept for {KEPT_SECONDS / 60:.0f} minutes.",
            param="digest",
        ) from error


def site_of(kept: Kept, shelf: Shelf) -> Path:
    """Where the files of what was examined lie."""
    return shelf.root / EXAMINED / kept.examination.digest / SITE


def find_problems(
    kept: Kept, shelf: Shelf, contributions: Contributions, known: Mapping[str, PluginRecord]
) -> Iterator[str]:
    """Why this may not be installed here, as things stand now: names that others have."""
    own = {one.name for one in known.values() if one.distribution == kept.examination.distribution}
    for plugin in kept.examination.plugins:
        other = known.get(plugin.name)
        if other is not None and plugin.name not in own:
            yield f"a plugin called {plugin.name!r} is there already, from {other.distribution} {other.version}"
    for claim in (claim for claims in kept.claims.values() for claim in claims):
        told = f"it claims the name {claim[1]!r} among {claim[0].replace('_', ' ')}"
        owner = contributions.owners().get(claim)
        if owner is not None and owner not in own:
            yield f"{told}, which {known[owner].called if owner in known else owner} has"
        elif contributions.registered(claim):
            yield f"{told}, which somebody registered here"
    for shelved in shelf.installed():
        for module in set(shelved.modules) & set(kept.modules):
            if canonicalize_name(shelved.distribution) != canonicalize_name(kept.examination.distribution):
                yield f"its module {module!r} has the name of one of {shelved.distribution} {shelved.version}"


def sweep_examined(shelf: Shelf) -> None:
    """Removes what was examined long ago, and what an examination that was cut off left."""
    folder = shelf.root / EXAMINED
    for place in folder.iterdir() if folder.is_dir() else ():
        if time.time() - place.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(place, ignore_errors=True)


def _check_source(source: str) -> None:
    relative = source.startswith(".") or ("/" in source and "://" not in source and not source.startswith("/"))
    if not source.strip() or source.startswith("-") or "\n" in source or (relative and "@" not in source):
        raise PluginRefused(
            f"{source!r} names no plugin; give a package's name, or the absolute path of a wheel or a source tree on "
            "the server's machine.",
            param="source",
        )


async def _fetch(wish: PluginSource, site: Path, shelf: Shelf) -> PackageFound:
    order_file, outcome_file = site.parent / "order.json", site.parent / PACKAGE_FILE
    order = PackageOrder(
        source=wish.source,
        folder=str(site),
        indexes=wish.indexes,
        beside=dict(_packages_beside(shelf)),
    )
    order_file.write_bytes(msgspec.json.encode(order))
    safe = {name: value for name, value in os.environ.items() if not name.startswith("ENGINEHOUSE_")}
    what = f"Fetching the plugin {wish.source!r}"
    await run_child(Child(FETCHER, (str(order_file), str(outcome_file)), what, FETCH_SECONDS, safe))
    outcome = msgspec.json.decode(outcome_file.read_bytes(), type=PackageOutcome)
    if outcome.found is None:
        raise (LaunchFailed if outcome.code == LaunchFailed.code else PluginRefused)(outcome.message)
    return outcome.found


def _packages_beside(shelf: Shelf) -> Iterator[tuple[str, str]]:
    for shelved in shelf.installed():
        for package in shelved.adds:
            name, _, version = package.partition("==")
            yield name, version


async def _probe(site: Path, settings: Settings) -> list[Probed]:
    result = site.parent / "probed.json"
    seconds = settings.plugin_seconds
    child = Child(
        PROBE,
        (str(site), str(settings.home), str(seconds), str(result)),
        "Looking at the plugin",
        PROBE_SECONDS + seconds * HOOKS_COUNTED,
        bare_environment(PYTHONDONTWRITEBYTECODE="1"),
    )
    await run_child(child)
    probed = msgspec.json.decode(result.read_bytes(), type=list[Probed])
    for one in probed:
        if one.record.state != "loaded":
            raise PluginRefused(
                f"Plugin {one.record.called} cannot be loaded: {one.record.reason} {one.record.traceback or ''}".strip()
            )
    return probed


def _kept(wish: PluginSource, found: PackageFound, probed: list[Probed], shelf: Shelf) -> Kept:
    former = shelf.find(found.distribution)
    plugins = (
        ExaminedPlugin(
            name=one.record.name,
            contributes=one.record.contributes,
            asks=one.record.asks,
            requirements=one.requirements,
            certificate=one.certificate,
        )
        for one in probed
    )
    examination = Examination(
        digest=found.digest,
        distribution=found.distribution,
        version=found.version,
        source=wish.source,
        plugins=tuple(plugins),
        requires=found.requires,
        adds=found.added,
        size_bytes=found.size_bytes,
        replaces=former.version if former else None,
    )
    return Kept(examination=examination, claims={one.record.name: one.claims for one in probed}, modules=found.modules)


def _keep(kept: Kept, folder: Path, shelf: Shelf) -> None:
    """Under its digest, whole: a folder is renamed when everything is in it."""
    place = shelf.root / EXAMINED / kept.examination.digest
    if place.is_dir():  # of these very files; somebody may be installing them
        write_whole(place / RESULT_FILE, msgspec.json.encode(kept))
        return os.utime(place)
    (folder / RESULT_FILE).write_bytes(msgspec.json.encode(kept))
    folder.rename(place)
