"""Bundles: one file with all that a machine without any index needs to make a deployment's environment.

A zip: `bundle.json` (a Manifest), `wheels/` (every third-party wheel of the lock, the very files), `plugins/` (wheels
of ours: core and the plugins that the deployment uses).
"""

from __future__ import annotations

import asyncio
import shutil
import time
import zipfile
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

from ...sdk import BadRequest, EnginehouseError, PackageIndexes, Report, Step
from ...sdk.credentials import in_every_text, strip_credentials
from ..declarations import written
from ..home import private_folder
from ..launch_request import LaunchRequest, parse_launch
from ..planning import Plan
from .acts import Ground, LockedNeed, build_locked, check_here, lock_need, locked_need, whole_need
from .distributions import CORE
from .downloading import fetch_wheels
from .holding import workspace
from .needs import fingerprint
from .wheels import write_wheel

MANIFEST = "bundle.json"
MANIFEST_BYTES = 64 * 2**20  # a lock of ten thousand packages is ten megabytes
FORMAT = 1
KEPT = "bundles"  # folder of the home for wheels of plugins that are not here

Json = dict[str, Any]
MakePlan = Callable[[LaunchRequest], Awaitable[Plan]]


class PluginWheel(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of ours. file: its wheel in the bundle."""

    name: str
    version: str
    file: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds. launch: as it would be written down, without variables; registration: of the model, where a
    user made it known; wheels: file names."""

    locked: LockedNeed
    launch: Json
    plugins: tuple[PluginWheel, ...]
    wheels: tuple[str, ...]
    registration: Json | None = None
    made_ts: float = 0.0
    format: int = FORMAT


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was made. built: packages that came as source, of which it has wheels; so its digest is another
    than that of an environment that is built from their source."""

    path: str
    digest: str
    packages: int
    plugins: tuple[str, ...]
    size_bytes: int
    built: tuple[str, ...] = ()


class PluginState(msgspec.Struct, frozen=True, kw_only=True):
    """What of a plugin is here. file: its wheel, kept where it lacks."""

    name: str
    version: str
    state: Literal["here", "other version", "missing"]
    file: str | None = None


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was loaded. ready: whether a launch of the bundle's model gets this environment now; notes: what
    is still to be done, for people."""

    digest: str
    packages: int
    plugins: tuple[PluginState, ...]
    registered: bool
    ready: bool
    launch: Json
    notes: tuple[str, ...] = ()


def free_place(path: str) -> Path:
    """Where a bundle shall be written. Raises BadRequest."""
    place = Path(path)
    if not place.is_absolute() or "\0" in path or not place.parent.is_dir():
        raise BadRequest(f"{path!r} is no absolute path in a folder of the server's machine.", param="path")
    if place.exists():
        raise BadRequest(f"{path} is there already; remove it, or give another path.", param="path")
    return place


async def create_bundle(plan: Plan, registration: Json | None, place: Path, ground: Ground, report: Report) -> Bundle:
    """Writes a bundle, whole or not at all. Raises EnginehouseError, OSError."""
    need = await whole_need(plan, ground)
    locked = await lock_need(need, ground, report)
    with workspace(ground.shelf) as folder:
        fetched = await fetch_wheels(need, locked.lock, folder, report)
        locked = locked_need(need, fetched.lock, ground)
        ours = await asyncio.to_thread(_write_ours, (CORE, *need.carried, *_brings(plan, ground)), folder)
        manifest = Manifest(
            locked=msgspec.structs.replace(locked, exists=False),
            launch=_told(plan.request),
            plugins=ours,
            wheels=tuple(wheel.name for wheel in fetched.wheels),
            registration=in_every_text(strip_credentials, registration),
            made_ts=time.time(),
        )
        report(Step(phase="check", total=len(fetched.wheels)))
        size = await asyncio.to_thread(_pack, manifest, folder, place)
    return Bundle(
        path=str(place),
        digest=locked.digest,
        packages=len(fetched.wheels),
        plugins=tuple(f"{one.name} {one.version}" for one in ours),
        size_bytes=size,
        built=fetched.built,
    )


def _brings(plan: Plan, ground: Ground) -> tuple[str, ...]:
    """The distribution of the plugin whose family it is; none for a registered one."""
    for record in ground.census.records:
        if record.distribution and plan.family.name in record.contributes.get("families", ()):
            return (record.distribution,)
    return ()


def _told(request: LaunchRequest) -> Json:
    told = in_every_text(strip_credentials, written(request))
    return {name: value for name, value in told.items() if name not in ("envs", "virtual_env_find_links")}


def _write_ours(names: tuple[str, ...], folder: Path) -> tuple[PluginWheel, ...]:
    plugins = folder / "plugins"
    plugins.mkdir()
    made = []
    for name in dict.fromkeys(names):
        wheel = write_wheel(name, plugins)
        made.append(PluginWheel(name=name, version=metadata.version(name), file=wheel.name))
    return tuple(made)


def _pack(manifest: Manifest, folder: Path, place: Path) -> int:
    """Writes it; its bytes."""
    half = folder / "bundle"
    with zipfile.ZipFile(half, "w", zipfile.ZIP_STORED) as archive:  # wheels are compressed already
        archive.writestr(MANIFEST, msgspec.json.encode(manifest))
        for kind in ("wheels", "plugins"):
            for file in sorted((folder / kind).iterdir()):
                archive.write(file, f"{kind}/{file.name}")
    _move(half, place)
    return place.stat().st_size


def _move(half: Path, place: Path) -> None:
    """Under its name only when it is whole; from another disk it is copied beside first."""
    beside = place.with_name(f".{place.name}.part")
    try:
        shutil.move(half, beside)
        beside.rename(place)
    finally:
        beside.unlink(missing_ok=True)


def read_manifest(path: str) -> Manifest:
    """Raises BadRequest when there is no bundle at that path, or one of another format."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
                raise BadRequest(f"{path} is no bundle: its {MANIFEST} is too large.", param="path")
            manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise BadRequest(f"{path} is no bundle that can be read here ({error}).", param="path") from error
    if manifest.format != FORMAT:
        raise BadRequest(f"{path} is a bundle of format {manifest.format}; this server reads {FORMAT}.", param="path")
    return manifest


async def load_bundle(
    path: str, register: Callable[[Json], Awaitable[bool]], plan: MakePlan, ground: Ground, report: Report
) -> Loaded:
    """Makes the bundle's environment from the bundle alone, and lets launches find it. Safe to repeat.

    register: takes the bundle's registration; whether it was new. Raises EnginehouseError, OSError.
    """
    manifest = await asyncio.to_thread(read_manifest, path)
    check_here(manifest.locked.lock)
    with workspace(ground.shelf) as folder:
        await asyncio.to_thread(_unpack, path, manifest, folder)
        indexes = PackageIndexes(no_index=True, find_links=(str(folder / "wheels"),))
        need = msgspec.structs.replace(manifest.locked.need, indexes=indexes)
        record = await build_locked(msgspec.structs.replace(manifest.locked, need=need), ground, report)
        plugins = await asyncio.to_thread(_keep_missing, manifest, folder, ground)
    registered = bool(manifest.registration) and await register(manifest.registration or {})
    note = await _why_not(manifest, plan, ground)
    return Loaded(
        digest=record.digest,
        packages=len(record.lock.packages),
        plugins=plugins,
        registered=registered,
        ready=note is None,
        launch=manifest.launch,
        notes=(*_plugin_notes(plugins), *filter(None, (note,))),
    )


def _unpack(path: str, manifest: Manifest, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for kind, files in (("wheels", manifest.wheels), ("plugins", tuple(one.file for one in manifest.plugins))):
            (folder / kind).mkdir()
            for file in files:
                if Path(file).name != file:
                    raise BadRequest(f"{path} is no bundle: it names the file {file!r}.", param="path")
                with archive.open(f"{kind}/{file}") as source, (folder / kind / file).open("wb") as copy:
                    shutil.copyfileobj(source, copy)


def _keep_missing(manifest: Manifest, folder: Path, ground: Ground) -> tuple[PluginState, ...]:
    """What of ours is here; wheels of the rest are kept in the home. Nothing of ours is installed by itself."""
    states = []
    for plugin in manifest.plugins:
        state = _state_of(plugin)
        kept = None
        if state != "here":
            place = private_folder(ground.settings.home / KEPT) / plugin.file
            shutil.copyfile(folder / "plugins" / plugin.file, place)
            kept = str(place)
        states.append(PluginState(name=plugin.name, version=plugin.version, state=state, file=kept))
    return tuple(states)


def _state_of(plugin: PluginWheel) -> Literal["here", "other version", "missing"]:
    try:
        return "here" if metadata.version(plugin.name) == plugin.version else "other version"
    except metadata.PackageNotFoundError:
        return "missing"


def _plugin_notes(plugins: tuple[PluginState, ...]) -> tuple[str, ...]:
    said = {
        "missing": "The plugin {0.name} is not installed: enginehouse plugins install {0.file}",
        "other version": "Another version of {0.name} is installed; the bundle's, {0.version}, is kept as {0.file}.",
    }
    return tuple(said[one.state].format(one) for one in plugins if one.state in said)


async def _why_not(manifest: Manifest, plan: MakePlan, ground: Ground) -> str | None:
    """Why a launch of the bundle's model would not get its environment on this server; None when it would."""
    try:
        need = await whole_need(await plan(parse_launch(as_body(manifest.launch))), ground)
    except EnginehouseError as error:
        return f"The bundle's model cannot be launched here yet: {error.message}"
    if fingerprint(need) == fingerprint(manifest.locked.need):
        return None
    return (
        "A launch here asks for other packages than the bundle's, as another version of a plugin does; it would get "
        "another environment."
    )


def as_body(launch: Json) -> Json:
    """A launch that was written down, as a launch's body, in an environment that is made."""
    body = {name: value for name, value in launch.items() if name != "options"}
    return {**body, **launch.get("options", {}), "environment": "uv", "enable_virtual_env": None}
