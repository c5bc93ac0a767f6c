"""From an entry point to a plugin that can be taken in: looked at by its metadata, imported inside a guard, asked.

Nothing here changes what the server uses. Our own loader instead of pluggy's, which stops at the first broken
plugin: each import and each hook has a time limit, and a plugin that fails loses only itself.
"""

from __future__ import annotations

import inspect
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import importlib_metadata
import msgspec
from packaging.requirements import Requirement
from packaging.version import Version

from ..sdk import Asks, InvalidSpec, hooks
from ..sdk.asks import ASKS
from .contributions import NOUNS, Named, check_answer, label, named
from .time_limit import Steps, TookTooLong, each_within

GROUP = "enginehouse"
CORE = "enginehouse-core"
BUILTIN = "builtin"
_MARK = f"{hooks.PROJECT}_impl"  # what pluggy's marker leaves on a function

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


class HookFunctions:
    """A plugin's hooks, and nothing else: pluggy looks at every attribute of what it is given."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.__dict__.update(functions)

    def __dir__(self) -> list[str]:
        return list(self.__dict__)


class Look(NamedTuple):
    """A plugin that its metadata says nothing against."""

    entry: importlib_metadata.EntryPoint
    record: PluginRecord


class Met(NamedTuple):
    """A plugin that was imported and has answered, and is not in use yet."""

    record: PluginRecord
    functions: HookFunctions
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
    return sorted(entries, key=lambda entry: (entry.name != BUILTIN, entry.name))


def meet(
    entries: Iterable[importlib_metadata.EntryPoint], blocked: Collection[str], seconds: float
) -> list[Met | PluginRecord]:
    """Each plugin, imported and asked, or why it cannot be. Those that share a name are not even imported.

    seconds: for an import, and for each hook.
    """
    entries = list(entries)
    shared = {name for name, count in Counter(entry.name for entry in entries).items() if count > 1}
    looks = [_look(entry, entries if entry.name in shared else (), blocked) for entry in entries]
    calls = [partial(_meet, look) for look in looks if isinstance(look, Look)]
    outcomes = iter(each_within(seconds, calls))
    return [_outcome(look, next(outcomes)) if isinstance(look, Look) else look for look in looks]


def _outcome(look: Look, outcome: Met | PluginRecord | TookTooLong) -> Met | PluginRecord:
    return msgspec.structs.replace(look.record, reason=say(outcome)) if isinstance(outcome, TookTooLong) else outcome


def _look(
    entry: importlib_metadata.EntryPoint,
    entries: Iterable[importlib_metadata.EntryPoint],
    blocked: Collection[str],
) -> Look | PluginRecord:
    """What its metadata says. Blocked and incompatible plugins end here, and namesakes among `entries`."""
    record, requires = _record(entry)
    builtin = entry.name == BUILTIN and record.distribution == CORE
    if entries and not builtin:
        return msgspec.structs.replace(record, reason=_namesakes(entry.name, entries))
    if entry.name in blocked and not builtin:
        return msgspec.structs.replace(record, state="blocked", reason="It is on the block list.")
    misfit = find_misfit(requires)
    if misfit:
        return msgspec.structs.replace(record, state="incompatible", reason=misfit)
    return Look(entry, record)


def find_misfit(requires: Iterable[str] | None) -> str | None:
    """Why a plugin's metadata does not fit this core, read before anything of it is imported."""
    here = _core_version()
    for requirement in map(Requirement, requires or ()):
        if requirement.name != CORE or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        if not requirement.specifier.contains(here, prereleases=True):
            newer = "Upgrade Enginehouse, or take" if _wants_newer(requirement, here) else "Take"
            return f"It asks for {CORE}{requirement.specifier}, this is {here}. {newer} a version made for {here}."
    return None


def needed_always(requires: Iterable[str]) -> list[str]:
    """Those requirements that hold here; those of extras hold for who asks for the extra."""
    markers = {text: Requirement(text).marker for text in requires}
    return [text for text, marker in markers.items() if marker is None or marker.evaluate({"extra": ""})]


@cache
def _core_version() -> Version:
    return Version(importlib_metadata.version(CORE))


def say(error: BaseException) -> str:
    """An error of foreign code, in a line."""
    text = str(error).strip() or "no message"
    return text if isinstance(error, InvalidSpec) else f"{type(error).__name__}: {text}"


def _wants_newer(requirement: Requirement, here: Version) -> bool:
    bounds = (
        Version(one.version.rstrip(".*")) for one in requirement.specifier if one.operator in (">=", ">", "~=", "==")
    )
    return any(bound > here for bound in bounds)


def _record(entry: importlib_metadata.EntryPoint) -> tuple[PluginRecord, list[str]]:
    """A plugin of which nothing is known yet, and what its distribution requires."""
    distribution = entry.dist
    if distribution is None:
        return PluginRecord(name=entry.name, state="quarantined"), []
    metadata = distribution.metadata  # parsed anew at each look: once is enough
    record = PluginRecord(
        name=entry.name,
        state="quarantined",
        distribution=metadata["Name"],
        version=metadata["Version"],
        folder=str(distribution.locate_file("")),
    )
    return record, metadata.get_all("Requires-Dist") or []


def _namesakes(name: str, entries: Iterable[importlib_metadata.EntryPoint]) -> str:
    dists = (entry.dist for entry in entries if entry.name == name and entry.dist)
    told = " and ".join(f"{dist.name} {dist.version}" for dist in dists)
    return f"Two installed distributions bring a plugin called {name!r}: {told}. Uninstall one of them."


def _meet(look: Look, steps: Steps) -> Met | PluginRecord:
    try:
        return _imported(look, steps)
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, even SystemExit
        return msgspec.structs.replace(look.record, reason=say(error), traceback=traceback.format_exc())


def _imported(look: Look, steps: Steps) -> Met:
    start = time.perf_counter()
    module: ModuleType = look.entry.load()
    took = time.perf_counter() - start
    functions = _hook_functions(module)
    answers = {}
    for hook in NOUNS:
        if hook in functions:
            steps.next()
            answers[hook] = check_answer(hook, functions[hook]())
    contributes = {NOUNS[hook].name: _labels(items) for hook, items in answers.items() if items}
    record = msgspec.structs.replace(
        look.record, state="loaded", import_seconds=took, contributes=contributes, asks=_asks(module)
    )
    return Met(record, HookFunctions(functions), named(answers))


def _labels(items: Iterable[Any]) -> list[str]:
    """Their names, each once: a family may be there for several model types."""
    return list(dict.fromkeys(map(label, items)))


def _hook_functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The hooks that a module implements. Raises InvalidSpec for one that does not exist, or takes too much."""
    found: dict[str, Callable[..., Any]] = {}
    for name, value in vars(module).items():
        options = getattr(value, _MARK, None) if callable(value) else None
        if isinstance(options, dict):
            _check_hook(name, value, options)
            found[name] = value
    return found


def _check_hook(name: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    spec = getattr(hooks, name, None)
    if spec is None:
        raise InvalidSpec(f"It implements {name!r}, which is no hook; see the reference of hooks.")
    if options["wrapper"] or options["hookwrapper"]:
        raise InvalidSpec(f"{name} wraps other plugins' answers; a hook here answers for its own plugin.")
    extra = sorted(set(_arguments(function)) - set(_arguments(spec)))
    if extra:
        raise InvalidSpec(f"{name} takes {', '.join(extra)}, which it is not given: {', '.join(_arguments(spec))}.")


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _asks(module: ModuleType) -> Asks:
    asks = getattr(module, ASKS, Asks())
    if not isinstance(asks, Asks):
        raise InvalidSpec(f"{ASKS} is {asks!r} ({type(asks).__name__}); it must be enginehouse.sdk.Asks(...).")
    return asks
