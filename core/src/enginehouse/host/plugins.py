"""Plugins: found through entry points, imported inside a guard, asked for what they contribute.

Our own loader instead of pluggy's, which stops at the first broken plugin: the block list is read before
importing, each import and each hook has a time limit, and a plugin that fails loses only itself.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any, Literal

import importlib_metadata
import msgspec
import pluggy
from packaging.requirements import Requirement
from packaging.version import Version

from ..sdk import EngineSpec, InvalidSpec, ModelFamily, Requirements, Variant, hooks
from .contributions import NOUNS, Contributions, check_answer, label
from .requirements import add_requirements, check_requirements, own_requirements
from .settings import Settings
from .time_limit import within

GROUP = "enginehouse"
CORE = "enginehouse-core"
BUILTIN = "builtin"

logger = logging.getLogger(__name__)

State = Literal["loaded", "blocked", "incompatible", "quarantined"]


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a plugin. contributes: names by kind; reason and traceback: why it is not loaded."""

    name: str
    state: State
    distribution: str | None = None
    version: str | None = None
    contributes: dict[str, list[str]] = {}
    import_seconds: float | None = None
    reason: str | None = None
    traceback: str | None = None


class PluginCensus:
    """All plugins, what became of each, and all that the loaded ones contribute."""

    def __init__(self, pluggy_manager: pluggy.PluginManager, settings: Settings) -> None:
        self._pluggy = pluggy_manager
        self._seconds = settings.plugin_seconds
        self._records: dict[str, PluginRecord] = {}
        self.contributions = Contributions()

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        return tuple(self._records.values())

    def add(self, record: PluginRecord) -> None:
        self._records[record.name] = record

    def choose_engine(
        self, family: ModelFamily, variant: Variant, candidates: tuple[EngineSpec, ...]
    ) -> tuple[EngineSpec, str]:
        """The engine that the first plugin with an opinion chooses, and that plugin's name."""
        arguments = {"family": family, "variant": variant, "candidates": candidates}
        for impl in reversed(self._pluggy.hook.enginehouse_choose_engine.get_hookimpls()):
            plugin = impl.plugin_name
            wanted = {name: arguments[name] for name in impl.argnames}
            choice = self._decide(plugin, "choose_engine", partial(impl.function, **wanted))
            if choice in candidates:
                return choice, plugin
            if choice is not None:
                logger.warning("plugin %s chose %r, which cannot run this model; passed over", plugin, choice)
        return candidates[0], "the host"

    def requirements(self, engine: EngineSpec, variant: Variant, device: str) -> Requirements:
        """All that `engine` needs to run `variant` on `device`: what its spec says, then what each plugin adds."""
        arguments = {"engine": engine, "variant": variant, "device": device}
        said = own_requirements(engine)
        for impl in self._pluggy.hook.enginehouse_requirements.get_hookimpls():
            wanted = {name: arguments[name] for name in impl.argnames}
            call = partial(_ask_requirements, partial(impl.function, **wanted))
            said = add_requirements(said, self._decide(impl.plugin_name, "requirements", call) or Requirements())
        return said

    def _decide(self, plugin: str, hook: str, call: Callable[[], Any]) -> Any:
        """What a plugin answers while planning; None when it fails, which its record then says."""
        try:
            return within(self._seconds, call, f"{plugin}: {hook}")
        except Exception as error:  # foreign code; the next plugin is asked
            logger.exception("plugin %s failed at %s", plugin, hook)
            record = self._records[plugin]
            self.add(msgspec.structs.replace(record, reason=f"{hook}: {_say(error)}"))
            return None


def load_plugins(settings: Settings) -> PluginCensus:
    """Loads every installed plugin. Never raises because of one: its record says what happened."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    census = PluginCensus(manager, settings)
    blocked = blocked_names(settings)
    for entry in _entry_points():
        record = _load(entry, manager, census, blocked, settings.plugin_seconds)
        census.add(record)
        if record.state == "quarantined":
            logger.warning("plugin %s is quarantined: %s", record.name, record.reason)
    return census


def blocked_names(settings: Settings) -> frozenset[str]:
    """Names in the settings and, one a line, in the home's blocked_plugins.txt."""
    file = settings.home / "blocked_plugins.txt"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    return frozenset(settings.blocked) | {line.strip() for line in lines if line.strip() and line[0] != "#"}


def _entry_points() -> list[importlib_metadata.EntryPoint]:
    """The built-in plugin first, so that nobody can take its names; then by name, for the same order everywhere."""
    return sorted(importlib_metadata.entry_points(group=GROUP), key=lambda entry: (entry.name != BUILTIN, entry.name))


def _load(
    entry: importlib_metadata.EntryPoint,
    manager: pluggy.PluginManager,
    census: PluginCensus,
    blocked: frozenset[str],
    seconds: float,
) -> PluginRecord:
    distribution = entry.dist
    record = PluginRecord(
        name=entry.name,
        state="quarantined",
        distribution=distribution.name if distribution else None,
        version=distribution.version if distribution else None,
    )
    if entry.name in blocked:
        return msgspec.structs.replace(record, state="blocked", reason="It is on the block list.")
    misfit = _misfit(distribution.requires if distribution else None)
    if misfit:
        return msgspec.structs.replace(record, state="incompatible", reason=misfit)
    try:
        return _take_in(entry, manager, census, record, seconds)
    except BaseException as error:  # foreign code may raise anything, even SystemExit
        if isinstance(error, KeyboardInterrupt):
            raise
        _forget(manager, entry.name)
        return msgspec.structs.replace(record, reason=_say(error), traceback=traceback.format_exc())


def _misfit(requires: Iterable[str] | None) -> str | None:
    """Why a plugin's metadata does not fit this core, read before anything of it is imported."""
    here = Version(importlib_metadata.version(CORE))
    for requirement in map(Requirement, requires or ()):
        if requirement.name != CORE or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        if not requirement.specifier.contains(here, prereleases=True):
            return f"It asks for {CORE}{requirement.specifier}, this is {here}."
    return None


def _take_in(
    entry: importlib_metadata.EntryPoint,
    manager: pluggy.PluginManager,
    census: PluginCensus,
    record: PluginRecord,
    seconds: float,
) -> PluginRecord:
    if any(known.name == entry.name for known in census.records):
        raise InvalidSpec(f"Another installed plugin is called {entry.name!r} too; uninstall one of them.")
    start = time.perf_counter()
    module: ModuleType = within(seconds, entry.load, f"import of plugin {entry.name}")
    record = msgspec.structs.replace(record, import_seconds=time.perf_counter() - start)
    manager.register(module, entry.name)
    manager.check_pending()
    answers = {hook: _collect(manager, module, hook, entry.name, seconds) for hook in NOUNS}
    census.contributions.add(answers)
    named = {NOUNS[hook].name: [label(item) for item in items] for hook, items in answers.items() if items}
    return msgspec.structs.replace(record, state="loaded", contributes=named)


def _collect(manager: pluggy.PluginManager, module: ModuleType, hook: str, plugin: str, seconds: float) -> list[Any]:
    for impl in getattr(manager.hook, hook).get_hookimpls():
        if impl.plugin is module:
            return within(seconds, partial(_ask, hook, impl.function), f"{plugin}: {hook}")
    return []


def _ask_requirements(function: Callable[[], Any]) -> Requirements | None:
    return check_requirements(function())


def _ask(hook: str, function: Callable[[], Any]) -> list[Any]:
    return check_answer(hook, function())


def _forget(manager: pluggy.PluginManager, name: str) -> None:
    if manager.has_plugin(name):
        manager.unregister(name=name)


def _say(error: BaseException) -> str:
    text = str(error).strip() or "no message"
    return text if isinstance(error, InvalidSpec) else f"{type(error).__name__}: {text}"
