"""Tasks that plugins bring with their model types: whether they can stand beside those that there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from ..sdk import AUXILIARY, TASKS, Task, TaskOrder
from .targets import target_of

Nouns = Mapping[str, Mapping[str, Any]]
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ROUTE = re.compile(r"/v1/([a-z0-9][a-z0-9_-]*)(/[a-z0-9][a-z0-9_-]*)+")

# fmt: off
RESERVED = frozenset((
    "address", "admin", "audio", "auth", "autostart", "cache", "chat", "cluster", "clusters", "completions",
    "convert_ids_to_tokens", "declarations", "detokenize", "embeddings", "engines", "environments", "images", "keys",
    "launch_history", "launchers", "messages", "model_registrations", "models", "plugin_examinations", "plugins",
    "requests", "rerank", "responses", "sdapi", "supervisor", "tasks", "tokenize", "ui", "video",
    "virtualenvs", "workers",
))
# fmt: on
"""What no plugin's route may begin with behind /v1/: the server's own routes do, or will."""


def find_faults(plugins: Mapping[str, Nouns]) -> dict[str, str]:
    """Plugins that cannot be taken in beside the others because of a task, with the reason.

    plugins: what each brings, by kind and name. Of two that bring a task of the same name or route neither is taken in.
    """
    faults = {}
    brought = [(plugin, task) for plugin, nouns in plugins.items() for task in _own_tasks(nouns)]
    for plugin, nouns in plugins.items():
        others = [(other, task) for other, task in brought if other != plugin]
        fault = next(chain(_against_types(nouns), _against_rivals(nouns, others)), None)
        if fault:
            faults[plugin] = fault
    known = {*TASKS, *(task.name for plugin, task in brought if plugin not in faults)}
    for plugin, nouns in plugins.items():
        if plugin not in faults and (fault := next(_against_engines(nouns, known), None)):
            faults[plugin] = fault
    return faults


def order_of(task: Task) -> TaskOrder:
    """What a worker's order says of a task that a plugin brings."""
    return TaskOrder(
        name=task.name, route=task.route, request=target_of(task.request), ends_with_done=task.ends_with_done
    )


def _own_tasks(nouns: Nouns) -> list[Task]:
    return [task for kind in nouns.get("model_types", {}).values() for task in kind.own_tasks]


def _against_types(nouns: Nouns) -> Iterator[str]:
    known = [*TASKS.values(), *AUXILIARY.values()]
    for kind in nouns.get("model_types", {}).values():
        for name in kind.tasks:
            if name not in TASKS:
                yield f"Model type {kind.name!r}: there is no task {name!r}; bring it in `own_tasks`."
        for task in kind.own_tasks:
            yield from (f"Model type {kind.name!r}: task {task.name!r}: {said}" for said in _problems(task, known))
            known.append(task)


def _against_rivals(nouns: Nouns, others: list[tuple[str, Task]]) -> Iterator[str]:
    for task in _own_tasks(nouns):
        for plugin, other in others:
            if task.name == other.name or task.route == other.route:
                yield (
                    f"Plugin {plugin} brings a task {other.name!r} at {other.route}, too. None of them is loaded: "
                    "block or uninstall one, `enginehouse plugins block NAME`."
                )


def _against_engines(nouns: Nouns, known: set[str]) -> Iterator[str]:
    for engine in nouns.get("engines", {}).values():
        unknown = sorted(set(engine.tasks) - known)
        if unknown:
            yield (
                f"Engine {engine.name!r}: tasks {unknown} are unknown; known are {sorted(known)}. Another plugin may "
                "bring them with a model type: install it, and look whether it was loaded."
            )


def _problems(task: Any, known: list[Task]) -> Iterator[str]:
    if not _NAME.fullmatch(task.name):
        yield "its name may hold lower-case letters, digits and '_' only; it is the name of a method, too."
    route = _ROUTE.fullmatch(task.route)
    if route is None:
        yield f"its route {task.route!r} is not like /v1/forecasts/series, in lower case."
    elif route[1] in RESERVED:
        yield f"its route {task.route!r} is among the server's own; begin it with the model type's name."
    if any(task.name == other.name or task.route == other.route for other in known):
        yield "a task of this name or route is there already."
    if not (isinstance(task.request, type) and issubclass(task.request, msgspec.Struct)):
        yield "`request` is not a msgspec.Struct."
    elif "model" not in task.request.__struct_encode_fields__:
        yield "`request` has no field `model`, which says whom it is for."
    elif task.chunk is not None and "stream" not in task.request.__struct_encode_fields__:
        yield "it has a `chunk`, but `request` has no field `stream` to ask for it."
