"""Examples are installed as anybody would, with pip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

INSTALL_SECONDS = 120  # a build of a tiny wheel takes a second or two; beside busy neighbours longer


@pytest.fixture(scope="session")
def install() -> Callable[[Path, Path], None]:
    """`install(distribution, site)`: into a folder that tests put on a server's path."""

    def run(distribution: Path, site: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--target", str(site), str(distribution)], check=True, timeout=INSTALL_SECONDS)

    return run
