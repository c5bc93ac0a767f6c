"""What plugins contribute, merged: checked for shape and for names that clash."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..sdk import (
    ClusterSpec,
    EngineSpec,
    InvalidSpec,
    LauncherSpec,
    ModelFamily,
    ModelType,
    ParserSpec,
    ProvisionerSpec,
    SourceSpec,
    Task,
)
from .contributed_tasks import find_faults


class Noun(NamedTuple):
    """A collected hook: the name of its kind, and the struct it must answer with."""

    name: str
    struct: type[Any]


NOUNS: dict[str, Noun] = {
    "enginehouse_model_types": Noun("model_types", ModelType),
    "enginehouse_families": Noun("families", ModelFamily),
    "enginehouse_engines": Noun("engines", EngineSpec),
    "enginehouse_launchers": Noun("launchers", LauncherSpec),
    "enginehouse_sources": Noun("sources", SourceSpec),
    "enginehouse_provisioners": Noun("provisioners", ProvisionerSpec),
    "enginehouse_parsers": Noun("parsers", ParserSpec),
    "enginehouse_clusters": Noun("clusters", ClusterSpec),
}


def label(item: Any) -> str:
    """The name by which a contribution is known."""
    return str(getattr(item, "name", None) or item.scheme)


def check_answer(hook: str, answer: Iterable[Any] | None) -> list[Any]:
    """The hook's answer as a list. Raises InvalidSpec when an item is not of the hook's struct."""
    items = list(answer or ())
    struct = NOUNS[hook].struct
    for item in items:
        if not isinstance(item, struct):
            raise InvalidSpec(f"{hook}() gave {item!r} ({type(item).__name__}); it must give {struct.__name__}.")
        if not _is_right(item):
            _check_fields(item)
    return items


def _is_right(item: Any) -> bool:
    """Whether all fields hold what they declare: fifty times quicker than finding out which one does not."""
    try:
        msgspec.convert(msgspec.to_builtins(item), type(item))
    except (msgspec.ValidationError, TypeError, NotImplementedError, InvalidSpec):
        return False
    return True


def _check_fields(item: Any) -> None:
    """A struct does not look at its values when it is made; a spec is looked at here, once."""
    for field in msgspec.structs.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, type) or field.type is Any:
            continue  # an options struct: EngineSpec itself checks it
        if field.type == tuple[Task, ...] and isinstance(value, tuple):
            for task in value:
                _check_task(item, task)
            continue
        try:
            msgspec.convert(msgspec.to_builtins(value), field.type)
        except (msgspec.ValidationError, TypeError, NotImplementedError) as error:
            raise InvalidSpec(f"{type(item).__name__} {label(item)!r}: field {field.name!r}: {error}.") from error


Claim = tuple[str, str]  # a kind ("engines"), and a name as it is looked up
Named = dict[str, dict[str, Any]]  # one plugin's nouns, by kind and name


class _Held(NamedTuple):
    """What readers see: made anew for each change and put into place in one step, never changed."""

    items: Named
    owners: dict[Claim, str]


def _check_task(kind: Any, task: Any) -> None:
    """A task's types cannot be looked at as its other fields can."""
    if not isinstance(task, Task):
        raise InvalidSpec(f"ModelType {kind.name!r}: own_tasks holds {task!r}, which is no Task.")
    _check_fields(msgspec.structs.replace(task, chunk=None))


class Contributions:
    """All nouns of all loaded plugins, by kind and by lower-case name. A reader sees a change whole or not at all."""

    def __init__(self) -> None:
        self._plugins: dict[str, Named] = {}
        self._registered: dict[str, ModelFamily] = {}
        self._lingering: dict[str, tuple[Task, ...]] = {}
        self._held = _merged({})

    def add(self, answers: dict[str, list[Any]], plugin: str = "") -> None:
        """Takes all answers of one plugin, in place of those it gave before, or none: InvalidSpec when a name is
        taken or given twice."""
        self.take({plugin: named(answers)})

    def take(self, plugins: dict[str, Named], without: Collection[str] = ()) -> None:
        """Takes what several plugins bring, each in place of what it brought before, and lets go of what those of
        `without` brought: all in one step, or nothing. Raises InvalidSpec when a name is taken, or a task unknown."""
        kept = {name: nouns for name, nouns in self._plugins.items() if name not in {*plugins, *without}}
        owners = dict(_merged(kept).owners)
        for plugin, nouns in plugins.items():
            for claim in _claims(nouns):
                holder = owners.setdefault(claim, plugin)
                if holder != plugin:
                    raise InvalidSpec(_taken(claim, holder, plugin))
            kept[plugin] = nouns
        for plugin, fault in find_faults(kept).items():
            if plugin in plugins:
                raise InvalidSpec(fault)
        self._plugins, self._held = kept, _merged(kept)
        for plugin in (*plugins, *without):
            self._lingering.pop(plugin, None)

    def tasks_of(self, plugin: str) -> tuple[Task, ...]:
        """The tasks that one plugin brings with its model types."""
        return tuple(_tasks_of(self.of(plugin).get("model_types", {}).values()))

    def linger(self, plugin: str, tasks: tuple[Task, ...]) -> None:
        """Keeps the routes of a plugin that is let go of, whose workers serve on: until it is taken or let go again."""
        self._lingering[plugin] = tasks

    def still(self) -> Contributions:
        """All of this as it is now: what plugins bring does not change in it."""
        copy = Contributions()
        copy._plugins, copy._held, copy._registered = self._plugins, self._held, self._registered
        copy._lingering = dict(self._lingering)
        return copy

    def of(self, plugin: str) -> Named:
        """What one plugin brings."""
        return self._plugins.get(plugin, {})

    def owner(self, kind: str, item: Any) -> str | None:
        """The plugin that brings an item; None for what a user registered."""
        return self._held.owners.get((kind, key_of(item)))

    def owners(self) -> Mapping[Claim, str]:
        """Which plugin brings each name."""
        return self._held.owners

    def adopt(self, family: ModelFamily) -> None:
        """Takes a family that a user registered, beside those of plugins."""
        self._registered[key_of(family)] = family

    def withdraw(self, family: ModelFamily) -> None:
        """Forgets a family that a user registered."""
        self._registered.pop(key_of(family), None)

    def registered(self, claim: Claim) -> bool:
        """Whether a user registered a family of that name."""
        return claim[0] == "families" and claim[1] in self._registered

    @property
    def model_types(self) -> tuple[ModelType, ...]:
        return tuple(self._held.items["model_types"].values())

    @property
    def own_tasks(self) -> tuple[Task, ...]:
        """Tasks that plugins bring with their model types, and those that linger."""
        lingering = (task for tasks in tuple(self._lingering.values()) for task in tasks)
        return (*_tasks_of(self._held.items["model_types"].values()), *lingering)

    def task_at(self, route: str) -> Task | None:
        """The task of such a plugin that answers at `route`. Asked on the way of requests."""
        return next((task for task in self.own_tasks if task.route == route), None)

    @property
    def launchers(self) -> tuple[LauncherSpec, ...]:
        return tuple(self._held.items["launchers"].values())

    @property
    def families(self) -> tuple[ModelFamily, ...]:
        """Those of plugins, then those that users registered."""
        return (*self._held.items["families"].values(), *self._registered.values())

    @property
    def engines(self) -> tuple[EngineSpec, ...]:
        return tuple(self._held.items["engines"].values())

    def model_type(self, name: str) -> ModelType | None:
        found = self._held.items["model_types"].get(name.lower())
        return found if isinstance(found, ModelType) else None

    def family(self, model_type: str, name: str) -> ModelFamily | None:
        key = f"{model_type.lower()}/{name.lower()}"
        found = self._held.items["families"].get(key) or self._registered.get(key)
        return found if isinstance(found, ModelFamily) else None

    def source(self, scheme: str) -> SourceSpec | None:
        found = self._held.items["sources"].get(scheme.lower())
        return found if isinstance(found, SourceSpec) else None

    def provisioner(self, name: str) -> ProvisionerSpec | None:
        found = self._held.items["provisioners"].get(name.lower())
        return found if isinstance(found, ProvisionerSpec) else None

    @property
    def clusters(self) -> tuple[ClusterSpec, ...]:
        return tuple(self._held.items["clusters"].values())

    def cluster(self, name: str) -> ClusterSpec | None:
        found = self._held.items["clusters"].get(name.lower())
        return found if isinstance(found, ClusterSpec) else None

    def parser(self, name: str, kind: str) -> ParserSpec | None:
        found = self._held.items["parsers"].get(_parser_key(name, kind))
        return found if isinstance(found, ParserSpec) else None


def named(answers: dict[str, list[Any]]) -> Named:
    """One plugin's answers by kind and name. Raises InvalidSpec when it gives a name twice."""
    nouns: Named = {}
    for hook, items in answers.items():
        kind = NOUNS[hook].name
        nouns[kind] = {}
        for item in items:
            if key_of(item) in nouns[kind]:
                raise InvalidSpec(f"It gives the name {label(item)!r} twice among its {kind.replace('_', ' ')}.")
            nouns[kind][key_of(item)] = item
    return nouns


def key_of(item: Any) -> str:
    """The name by which an item is looked up among those of its kind."""
    name = label(item).lower()
    if isinstance(item, ParserSpec):
        return _parser_key(name, item.kind)
    return f"{item.model_type.lower()}/{name}" if isinstance(item, ModelFamily) else name


def _taken(claim: Claim, holder: str, plugin: str) -> str:
    return (
        f"The name {claim[1]!r} is taken among {claim[0].replace('_', ' ')}: both {holder or 'another'} and "
        f"{plugin or 'this plugin'} bring it; choose another."
    )


def _claims(nouns: Named) -> Iterator[Claim]:
    return ((kind, key) for kind, items in nouns.items() for key in items)


def find_clashes(plugins: dict[str, Named]) -> dict[Claim, tuple[str, ...]]:
    """Names that several plugins bring, with those plugins."""
    claimants: dict[Claim, list[str]] = {}
    for plugin, nouns in plugins.items():
        for claim in _claims(nouns):
            claimants.setdefault(claim, []).append(plugin)
    return {claim: tuple(names) for claim, names in claimants.items() if len(names) > 1}


def _merged(plugins: dict[str, Named]) -> _Held:
    items: Named = {noun.name: {} for noun in NOUNS.values()}
    owners: dict[Claim, str] = {}
    for plugin, nouns in plugins.items():
        for kind, found in nouns.items():
            items[kind].update(found)
            owners.update(((kind, key), plugin) for key in found)
    return _Held(items, owners)


def _tasks_of(kinds: Iterable[ModelType]) -> Iterator[Task]:
    return (task for kind in kinds for task in kind.own_tasks)


def _parser_key(name: str, kind: str) -> str:
    """A name may stand for a parser of each kind; "deepseek-v3.1" is "deepseek_v3_1"."""
    return f"{kind}/{name.lower().replace('-', '_').replace('.', '_')}"
