"""Sources whose weights already lie on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from ..sdk import FetchProgress, LaunchFailed


def fetch_file(reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    """`file:/absolute/path`."""
    path = Path(reference)
    if not path.exists():
        raise LaunchFailed(f"The weights {reference!r} are not there; were they moved or is a disk not mounted?")
    return path


def fetch_package(reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    """`package:import_name/path/inside`: weights carried in an installed Python package, which is not imported."""
    package, _, inside = reference.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    for location in (spec.submodule_search_locations if spec else None) or ():
        path = Path(location) / inside
        if path.exists():
            return path
    raise LaunchFailed(f"No installed package carries {reference!r}; install the package that brings {package!r}.")
