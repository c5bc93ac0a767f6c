"""Plugins: all that are installed, what became of each, and what those in use contribute and decide."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import msgspec
import pluggy

from ..sdk import EngineSpec, ModelFamily, Requirements, Variant, hooks
from .block_list import blocked_names
from .contributed_tasks import find_faults
from .contributions import Contributions, find_clashes
from .launcher_packages import meet_launchers
from .plugin_loading import BUILTIN, Met, PluginRecord, find_entries, meet, say
from .plugin_shelf import Shelf
from .requirements import add_requirements, check_requirements, own_requirements
from .settings import Settings
from .time_limit import within

__all__ = ["PluginCensus", "PluginRecord", "load_plugins"]

logger = logging.getLogger(__name__)


class PluginCensus:
    """All plugins, what became of each, and all that the loaded ones contribute."""

    def __init__(self, settings: Settings) -> None:
        self._pluggy = pluggy.PluginManager(hooks.PROJECT)
        self._pluggy.add_hookspecs(hooks)
        self._seconds = settings.plugin_seconds
        self._records: dict[str, PluginRecord] = {}
        self._in_use: dict[str, Met] = {}
        self.contributions = Contributions()

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        return tuple(self._records.values())

    def record(self, name: str) -> PluginRecord | None:
        return self._records.get(name)

    def add(self, record: PluginRecord) -> None:
        self._records[record.name] = record

    def forget(self, name: str) -> None:
        """Strikes one that is not in use off the list."""
        self._records.pop(name, None)

    def begin(self, met: Sequence[Met | PluginRecord]) -> None:
        """Takes in all that were met, but those that claim the same name, of these none, and those whose tasks cannot
        be."""
        able = {one.record.name: one for one in met if isinstance(one, Met)}
        losers = _losers(able)
        losers |= _faulty({name: one for name, one in able.items() if name not in losers})
        self.exchange((), [one for name, one in able.items() if name not in losers])
        self._records.clear()  # to be listed in the order in which they were met
        for one in met:
            record = one if isinstance(one, PluginRecord) else losers.get(one.record.name, one.record)
            self.add(_apart(record, self._records))

    def exchange(self, gone: Collection[str], come: Collection[Met]) -> list[Met]:
        """Lets go of some plugins and takes in others, in one step; those that went, to be brought back by the same
        means. A plugin that comes takes the place of one of its name. Raises InvalidSpec when a name is taken; then
        nothing has changed."""
        self.contributions.take({one.record.name: one.nouns for one in come}, without=gone)
        names = dict.fromkeys((*gone, *(one.record.name for one in come)))
        went = [self._in_use.pop(name) for name in names if name in self._in_use]
        for one in went:
            self._pluggy.unregister(name=one.record.name)
            del self._records[one.record.name]
        for one in come:
            self._pluggy.register(one.functions, one.record.name)
            self._in_use[one.record.name] = one
            self.add(one.record)
        return went

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
            self.add(msgspec.structs.replace(record, reason=f"{hook}: {say(error)}"))
            return None


def load_plugins(settings: Settings) -> PluginCensus:
    """Loads every installed plugin. Never raises because of one: its record says what happened."""
    census = PluginCensus(settings)
    shelf = Shelf(settings.home)
    shelf.open()
    blocked = blocked_names(settings)
    met = meet(find_entries(), blocked, settings.plugin_seconds)
    census.begin([shelf.place(one) for one in (*met, *meet_launchers(shelf.sites(), blocked))])
    for record in census.records:
        if record.state == "quarantined":
            logger.warning("plugin %s is quarantined: %s", record.name, record.reason)
    return census


def _losers(able: dict[str, Met]) -> dict[str, PluginRecord]:
    """Those of which another claims a name: none of them is taken, but the built-in one, whose names are safe."""
    losers: dict[str, PluginRecord] = {}
    for (kind, key), names in find_clashes({name: one.nouns for name, one in able.items()}).items():
        told = " and ".join(able[name].record.called for name in names)
        kept = [name for name in names if name == BUILTIN]
        outcome = "The built-in one stays." if kept else "None of them is loaded."
        reason = (
            f"The name {key!r} is claimed among {kind.replace('_', ' ')} by {told}. {outcome} Block or uninstall one "
            "of them: `enginehouse plugins block NAME`."
        )
        for name in set(names) - set(kept):
            rivals = tuple(other for other in names if other != name)
            losers[name] = msgspec.structs.replace(
                able[name].record, state="quarantined", contributes={}, reason=reason, rivals=rivals
            )
    return losers


def _faulty(able: dict[str, Met]) -> dict[str, PluginRecord]:
    """Those whose model types bring a task that cannot be, or whose engines do what no model type brings."""
    faults = find_faults({name: one.nouns for name, one in able.items()})
    return {
        name: msgspec.structs.replace(able[name].record, state="quarantined", contributes={}, reason=fault)
        for name, fault in faults.items()
    }


def _apart(record: PluginRecord, known: Collection[str]) -> PluginRecord:
    """Of two plugins of one name both are to be seen."""
    if record.name in known and record.state != "loaded":
        return msgspec.structs.replace(record, name=f"{record.name} of {record.distribution}")
    return record


def _ask_requirements(function: Callable[[], Any]) -> Requirements | None:
    return check_requirements(function())
