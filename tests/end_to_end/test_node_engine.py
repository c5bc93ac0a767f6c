"""An engine in another language, installed by pip as a third party's and held to the contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "node_engine"
INSTALL = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target")
SECONDS = 300.0

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None,
    reason="node is not installed; as root, `make test` installs it (apt-get install nodejs)",
)


def test_a_server_for_node_holds_bronze(tmp_path: Path) -> None:
    site = tmp_path / "site"
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source)  # building leaves nothing in the repository
    subprocess.run([sys.executable, *INSTALL, str(site), str(source)], check=True, timeout=SECONDS)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    variables = {**os.environ, "PYTHONPATH": path, "ENGINEHOUSE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "enginehouse.cli", "certify", "node", "--level", "bronze"]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("node 0.1.0: bronze")
