"""What a file wants against what is declared: a list of steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ..host.amendment import AMENDABLE
from ..host.declarations import comparable

Json = dict[str, Any]
Kind = Literal["launch", "relaunch", "change", "end", "leave", "same"]

GONE = ("ERROR", "TERMINATING")  # declared, but it does not run and will not by itself


class Change(NamedTuple):
    """One field that differs. None stands for "not set"."""

    field: str
    now: Any
    then: Any


class Step(NamedTuple):
    """What is to be done about one model.

    launch: what to launch; None where nothing is. relaunch: what differs needs another worker; change: it does not.
    leave: it runs, the file does not name it, and it stays.
    """

    kind: Kind
    uid: str
    launch: Json | None = None
    changes: tuple[Change, ...] = ()
    status: str = ""


class Running(NamedTuple):
    """A declared model as the server tells of it."""

    status: str
    launch: Json


def compare(wanted: Mapping[str, Json], declared: Mapping[str, Running], prune: bool) -> list[Step]:
    """Steps from `declared` to `wanted`, both by uid: first what ends (it makes room), then in the file's order."""
    unnamed: Kind = "end" if prune else "leave"
    ends = [Step(unnamed, uid, status=declared[uid].status) for uid in declared if uid not in wanted]
    return ends + [_step(uid, launch, declared.get(uid)) for uid, launch in wanted.items()]


def differences(now: Json, then: Json) -> tuple[Change, ...]:
    """The fields of two launches that differ; options of the engine one by one."""
    return tuple(_changes(comparable(now), comparable(then), ""))


def to_do(steps: list[Step]) -> list[Step]:
    """Those that change something."""
    return [step for step in steps if step.kind in ("launch", "relaunch", "change", "end")]


def _step(uid: str, launch: Json, running: Running | None) -> Step:
    if running is None:
        return Step("launch", uid, launch)
    changes = differences(running.launch, launch)
    return Step(_kind(changes, running.status), uid, launch, changes, running.status)


def _kind(changes: tuple[Change, ...], status: str) -> Kind:
    if status in GONE:
        return "relaunch"
    if all(change.field in AMENDABLE for change in changes):
        return "change" if changes else "same"
    return "relaunch"


def _changes(now: Json, then: Json, place: str) -> Iterator[Change]:
    for name in sorted({*now, *then}):
        before, after = now.get(name), then.get(name)
        if name == "options" and not place:
            yield from _changes(before or {}, after or {}, "options.")
        elif before != after:
            yield Change(f"{place}{name}", before, after)
