"""From an entry point to a plugin that can be taken in: looked at by its metadata, imported inside a guard, asked.

Nothing here changes what the server uses. Our own loader instead of pluggy's, which stops at the first broken
plugin: each import and each hook has a time limit, and a plugin that fails loses only itself.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import importlib_metadata
import msgspec
import pluggy
from packaging.requirements import Requirement
from packaging.version import Version

from ..sdk import Asks, InvalidSpec, hooks
from ..sdk.asks import ASKS
from .contributions import NOUNS, Named, check_answer, label, named
from .time_limit import within

GROUP = "enginehouse"
CORE = "enginehouse-core"
BUILTIN = "builtin"

State = Literal["loaded", "blocked", "incompatible", "quarantined"]


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a plugin. contributes: names by kind; reason and traceback: why it is not loaded.

    folder: where it lies when it was installed into the home; None for one of the server's own environment.
    asks: what it says its code does beyond answering requests. rivals: plugins that claim a name of its own.
    """

    name: str
    state: State
    distribution: str | None = None
    version: str | None = None
    contributes: dict[str, list[str]] = {}
    import_seconds: float | None = None
    reason: str | None = None
    traceback: str | None = None
    folder: str | None = None
    asks: Asks = Asks()
    rivals: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The plugin with its distribution, for messages."""
        return f"{self.name} ({self.distribution} {self.version})"


class Met(NamedTuple):
    """A plugin that was imported and has answered, and is not in use yet."""

    record: PluginRecord
    module: ModuleType
    nouns: Named


def find_entries() -> list[importlib_metadata.EntryPoint]:
    """Entry points of all installed plugins: the built-in one first, so that nobody can take its names; then by name,
    for the same order everywhere."""
    return sort_entries(importlib_metadata.entry_points(group=GROUP))


def entries_in(site: Path) -> list[importlib_metadata.EntryPoint]:
    """Entry points of the plugins whose distributions lie in this folder."""
    found = importlib_metadata.distributions(path=[str(site)])
    return sort_entries(entry for one in found for entry in one.entry_points if entry.group == GROUP)


def sort_entries(entries: Iterable[importlib_metadata.EntryPoint]) -> list[importlib_metadata.EntryPoint]:
    return sorted(entries, key=lambda entry: (not _is_builtin(entry), entry.name))


def _is_builtin(entry: importlib_metadata.EntryPoint) -> bool:
    return entry.name == BUILTIN and entry.dist is not None and entry.dist.name == CORE


def meet(
    entries: Iterable[importlib_metadata.EntryPoint], blocked: Collection[str], seconds: float
) -> list[Met | PluginRecord]:
    """Each plugin, imported and asked, or why it cannot be. Those that share a name are not even imported."""
    entries = list(entries)
    shared = {name for name, count in Counter(entry.name for entry in entries).items() if count > 1}
    met: list[Met | PluginRecord] = []
    for entry in entries:
        if entry.name in shared and not _is_builtin(entry):
            met.append(_namesakes(entry, entries))
        else:
            met.append(meet_one(entry, blocked, seconds))
    return met


def meet_one(entry: importlib_metadata.EntryPoint, blocked: Collection[str], seconds: float) -> Met | PluginRecord:
    """One plugin. Blocked and incompatible ones are not imported."""
    record = _record(entry)
    if entry.name in blocked and not _is_builtin(entry):
        return msgspec.structs.replace(record, state="blocked", reason="It is on the block list.")
    misfit = find_misfit(entry.dist.requires if entry.dist else None)
    if misfit:
        return msgspec.structs.replace(record, state="incompatible", reason=misfit)
    try:
        return _meet(entry, record, seconds)
    except BaseException as error:  # foreign code may raise anything, even SystemExit
        if isinstance(error, KeyboardInterrupt):
            raise
        return msgspec.structs.replace(record, reason=say(error), traceback=traceback.format_exc())


def find_misfit(requires: Iterable[str] | None) -> str | None:
    """Why a plugin's metadata does not fit this core, read before anything of it is imported."""
    here = Version(importlib_metadata.version(CORE))
    for requirement in map(Requirement, requires or ()):
        if requirement.name != CORE or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        if not requirement.specifier.contains(here, prereleases=True):
            newer = "Upgrade Enginehouse, or take" if _wants_newer(requirement, here) else "Take"
            return f"It asks for {CORE}{requirement.specifier}, this is {here}. {newer} a version made for {here}."
    return None


def say(error: BaseException) -> str:
    """An error of foreign code, in a line."""
    text = str(error).strip() or "no message"
    return text if isinstance(error, InvalidSpec) else f"{type(error).__name__}: {text}"


def _wants_newer(requirement: Requirement, here: Version) -> bool:
    bounds = (
        Version(one.version.rstrip(".*")) for one in requirement.specifier if one.operator in (">=", ">", "~=", "==")
    )
    return any(bound > here for bound in bounds)


def _record(entry: importlib_metadata.EntryPoint) -> PluginRecord:
    distribution = entry.dist
    return PluginRecord(
        name=entry.name,
        state="quarantined",
        distribution=distribution.name if distribution else None,
        version=distribution.version if distribution else None,
        folder=str(distribution.locate_file("")) if distribution else None,
    )


def _namesakes(entry: importlib_metadata.EntryPoint, entries: Iterable[importlib_metadata.EntryPoint]) -> PluginRecord:
    records = [_record(one) for one in entries if one.name == entry.name]
    told = " and ".join(f"{one.distribution} {one.version}" for one in records)
    reason = f"Two installed distributions bring a plugin called {entry.name!r}: {told}. Uninstall one of them."
    return msgspec.structs.replace(_record(entry), reason=reason)


def _meet(entry: importlib_metadata.EntryPoint, record: PluginRecord, seconds: float) -> Met:
    start = time.perf_counter()
    module: ModuleType = within(seconds, entry.load, f"import of plugin {entry.name}")
    took = time.perf_counter() - start
    manager = pluggy.PluginManager(hooks.PROJECT)  # of its own: what it registers is nobody's yet
    manager.add_hookspecs(hooks)
    manager.register(module, entry.name)
    manager.check_pending()
    answers = {hook: _collect(manager, hook, entry.name, seconds) for hook in NOUNS}
    nouns = named(answers)
    contributes = {NOUNS[hook].name: [label(item) for item in items] for hook, items in answers.items() if items}
    record = msgspec.structs.replace(
        record, state="loaded", import_seconds=took, contributes=contributes, asks=_asks(module)
    )
    return Met(record, module, nouns)


def _collect(manager: pluggy.PluginManager, hook: str, plugin: str, seconds: float) -> list[Any]:
    for impl in getattr(manager.hook, hook).get_hookimpls():
        return within(seconds, partial(_ask, hook, impl.function), f"{plugin}: {hook}")
    return []


def _ask(hook: str, function: Callable[[], Any]) -> list[Any]:
    return check_answer(hook, function())


def _asks(module: ModuleType) -> Asks:
    asks = getattr(module, ASKS, Asks())
    if not isinstance(asks, Asks):
        raise InvalidSpec(f"{ASKS} is {asks!r} ({type(asks).__name__}); it must be enginehouse.sdk.Asks(...).")
    return asks
