"""The provisioner `system`: the server's own interpreter, for engines whose libraries are installed beside it."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from ..sdk import CannotRun, Environment, EnvironmentNeed, Report


def provision(need: EnvironmentNeed, folder: Path, report: Report) -> Environment:
    """Raises CannotRun naming every requirement that this interpreter does not satisfy."""
    missing = [text for text in need.requirements if not _satisfied(Requirement(text))]
    if missing:
        wanted = " ".join(f"'{text}'" for text in missing)
        raise CannotRun(
            f"Engine {need.engine} needs {wanted} beside the server: {sys.executable} -m pip install {wanted}"
        )
    return Environment(provisioner="system", python=sys.executable)


def _satisfied(requirement: Requirement) -> bool:
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        return True
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)
