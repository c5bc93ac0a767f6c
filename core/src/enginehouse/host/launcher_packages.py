"""Distributions of the home that name launchers and no plugin, taken in by their metadata as if a plugin brought them.

Nothing of them is imported here: a launcher is the worker's to import, and may need what only its environment has.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import importlib_metadata
import msgspec
from packaging.utils import canonicalize_name

from ..sdk import LauncherSpec
from ..sdk.errors import InvalidSpec
from ..sdk.launchers import GROUP as LAUNCHERS
from .contributions import NOUNS, check_answer, label, named
from .plugin_loading import GROUP, HookFunctions, Met, PluginRecord, find_misfit, say

_HOOK = "enginehouse_launchers"


def launchers_only(distribution: Any) -> list[importlib_metadata.EntryPoint]:
    """A distribution's launchers by name; none where it also brings a plugin, whose hook then counts."""
    groups = {entry.group for entry in distribution.entry_points}
    found = [entry for entry in distribution.entry_points if entry.group == LAUNCHERS]
    return sorted(found, key=lambda entry: entry.name) if GROUP not in groups else []


def meet_launchers(sites: Iterable[Path], blocked: Collection[str]) -> list[Met | PluginRecord]:
    """One for each such distribution in these folders, which are on `sys.path`; it is called as its distribution."""
    found = (one for site in sites for one in importlib_metadata.distributions(path=[str(site)]))
    return [_met(one, entries, blocked) for one in found if (entries := launchers_only(one))]


def _met(
    distribution: Any, entries: Iterable[importlib_metadata.EntryPoint], blocked: Collection[str]
) -> Met | PluginRecord:
    metadata = distribution.metadata
    record = PluginRecord(
        name=canonicalize_name(metadata["Name"]),
        state="quarantined",
        distribution=metadata["Name"],
        version=metadata["Version"],
        folder=str(distribution.locate_file("")),
    )
    if record.name in blocked:
        return msgspec.structs.replace(record, state="blocked", reason="It is on the block list.")
    if misfit := find_misfit(metadata.get_all("Requires-Dist")):
        return msgspec.structs.replace(record, state="incompatible", reason=misfit)
    try:
        specs = check_answer(_HOOK, [_spec(entry, record) for entry in entries])
    except InvalidSpec as error:
        return msgspec.structs.replace(record, reason=say(error))
    contributes = {NOUNS[_HOOK].name: [label(one) for one in specs]}
    return Met(
        msgspec.structs.replace(record, state="loaded", contributes=contributes),
        HookFunctions({}),
        named({_HOOK: specs}),
    )


def _spec(entry: importlib_metadata.EntryPoint, record: PluginRecord) -> LauncherSpec:
    """Raises InvalidSpec for what is of another form, or lies nowhere."""
    top = entry.value.partition(":")[0].partition(".")[0]
    if not top or importlib.util.find_spec(top) is None:
        raise InvalidSpec(f"Launcher {entry.name!r} is in {entry.value!r}, and there is no module {top!r}.")
    summary = f"From {record.distribution} {record.version}"
    return LauncherSpec(name=entry.name, launcher=entry.value, distribution=record.distribution or "", summary=summary)
