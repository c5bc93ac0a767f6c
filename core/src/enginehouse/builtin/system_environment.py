"""The provisioner `system`: the server's own interpreter, for engines whose libraries are installed beside it."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from ..sdk import CannotRun, Environment, EnvironmentNeed, Report
from ..sdk.credentials import hide_credentials
from .requirement_check import missing_requirements


def provision(need: EnvironmentNeed, folder: Path, report: Report) -> Environment:
    """Raises CannotRun naming every requirement that this interpreter does not satisfy."""
    missing = missing_requirements(need.requirements, _version)
    if missing:
        wanted = " ".join(f"'{hide_credentials(text)}'" for text in missing)
        raise CannotRun(
            f"Engine {need.engine} needs {wanted} beside the server: {sys.executable} -m pip install {wanted}"
        )
    return Environment(provisioner="system", python=sys.executable)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
