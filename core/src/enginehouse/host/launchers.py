"""Launchers: which one builds a model, and where it is. Nothing of one is imported here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import importlib_metadata

from ..sdk import BadRequest, LauncherSpec
from ..sdk.launchers import GROUP
from .launcher_packages import launchers_only
from .plugin_shelf import is_mounted

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
Known = Iterable[LauncherSpec]


def find_launcher(name: str, contributed: Known) -> LauncherSpec:
    """The launcher of that name: a plugin's, else an entry point's, else the callable at that dotted path.

    contributed: those that plugins bring. Raises BadRequest that says which there are.
    """
    known = all_launchers(contributed)
    for spec in known:
        if name in (spec.name, *spec.aliases):
            return spec
    if _TARGET.fullmatch(name):
        return LauncherSpec(name=name, launcher=name)
    if _DOTTED.fullmatch(name):
        module, _, attribute = name.rpartition(".")
        return LauncherSpec(name=name, launcher=f"{module}:{attribute}")
    names = [spec.name for spec in known]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise BadRequest(
        f"There is no launcher {name!r}.{hint} Known: {', '.join(names) or 'none'}. Or give the dotted path of a "
        "callable, such as my_package.my_module.my_launcher.",
        param="launcher",
    )


def all_launchers(contributed: Known) -> tuple[LauncherSpec, ...]:
    """Those of plugins, then those that distributions of the server's environment name as entry points, by name. Read
    anew each time, so that what was installed meanwhile is found. Those installed into the home are among the first."""
    specs = tuple(contributed)
    taken = {name for spec in specs for name in (spec.name, *spec.aliases)}
    return (*specs, *_entry_points(taken))


def _entry_points(taken: set[str]) -> Iterable[LauncherSpec]:
    for entry in sorted(importlib_metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name not in taken and _TARGET.fullmatch(entry.value) and not _is_of_the_home(entry):
            taken.add(entry.name)
            distribution = entry.dist.name if entry.dist else ""
            summary = f"From {distribution} {entry.dist.version}" if entry.dist else ""
            yield LauncherSpec(name=entry.name, launcher=entry.value, distribution=distribution, summary=summary)


def _is_of_the_home(entry: importlib_metadata.EntryPoint) -> bool:
    """Such a one is a plugin's, which may be blocked."""
    return bool(entry.dist and is_mounted(str(entry.dist.locate_file(""))) and launchers_only(entry.dist))
