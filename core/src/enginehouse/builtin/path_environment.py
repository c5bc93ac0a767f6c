"""The provisioner `path`: an interpreter that the launch names, with the libraries that lie there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from ..sdk import CannotRun, Environment, EnvironmentNeed, Report, Step
from ..sdk.credentials import hide_credentials
from .requirement_check import missing_requirements

LOOK_SECONDS = 60.0  # an interpreter starts in a tenth of a second; one on a cold network disk takes long
OLDEST_PYTHON = (3, 11)  # what the runner is written for

# Runs in that interpreter, with nothing but its own standard library.
_LOOK = """
import json, os, platform, sys
from importlib import metadata
packages = {}
for one in metadata.distributions():
    name = one.metadata["Name"]
    if name and name not in packages:  # the first on sys.path is the one that is imported
        packages[name] = one.version
implementation = sys.implementation.version
print(json.dumps({"version": list(sys.version_info[:3]), "prefix": sys.prefix, "packages": packages, "markers": {
    "implementation_name": sys.implementation.name,
    "implementation_version": ".".join(map(str, implementation[:3])),
    "os_name": os.name, "platform_machine": platform.machine(), "platform_release": platform.release(),
    "platform_system": platform.system(), "platform_version": platform.version(),
    "python_full_version": platform.python_version(), "sys_platform": sys.platform,
    "platform_python_implementation": platform.python_implementation(),
    "python_version": ".".join(platform.python_version_tuple()[:2])}}))
"""


class Interpreter(msgspec.Struct, frozen=True):
    """What an interpreter says about itself. packages: versions by name; markers: PEP 508's variables."""

    version: tuple[int, int, int]
    prefix: str
    packages: dict[str, str]
    markers: dict[str, str]


def provision(need: EnvironmentNeed, folder: Path, report: Report) -> Environment:
    """Raises CannotRun when `need.place` is no interpreter, too old, or lacks a requirement."""
    report(Step(phase="check", package=need.place))
    interpreter = look_at(need.place)
    if interpreter.version < OLDEST_PYTHON:
        here = ".".join(map(str, interpreter.version))
        raise CannotRun(f"{need.place} is Python {here}; a worker needs {'.'.join(map(str, OLDEST_PYTHON))} or newer.")
    versions = {canonicalize_name(name): version for name, version in interpreter.packages.items()}
    missing = missing_requirements(
        need.requirements, lambda name: versions.get(canonicalize_name(name)), interpreter.markers
    )
    if missing:
        wanted = " ".join(f"'{hide_credentials(text)}'" for text in missing)
        raise CannotRun(
            f"The interpreter {need.place} lacks what engine {need.engine} needs: {need.place} -m pip install {wanted}"
        )
    return Environment(provisioner="path", python=need.place, variables=_variables(need.place, interpreter))


def look_at(python: str) -> Interpreter:
    """Asks an interpreter what it is and has. Raises CannotRun."""
    if not Path(python).is_absolute():
        raise CannotRun(f"The interpreter {python!r} must be given with its whole path.")
    try:
        told = subprocess.run([python, "-IB", "-c", _LOOK], capture_output=True, timeout=LOOK_SECONDS, check=True)
        return msgspec.json.decode(told.stdout, type=Interpreter)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:  # DecodeError: some other program
        words = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()[-3:]
        raise CannotRun(f"{python} cannot be used as an interpreter: {' '.join(words) or error}.") from error


def _variables(python: str, interpreter: Interpreter) -> dict[str, str]:
    folder = str(Path(python).parent)
    variables = {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if (Path(interpreter.prefix) / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = interpreter.prefix
    return variables
