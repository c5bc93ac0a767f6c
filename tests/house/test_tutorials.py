"""The tutorials' code is what the tests run: each block with a title becomes a file."""

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs/tutorials/write-an-engine.md"
BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.M | re.S)


def write_files(page: Path, folder: Path) -> dict[str, str]:
    files = dict(BLOCK.findall(page.read_text()))
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return files


def test_the_engine_of_the_tutorial_works(tmp_path: Path, new_server) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    files = write_files(TUTORIAL, package)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, str(site), str(package)], check=True, timeout=120)
    server = new_server(PYTHONPATH=os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    shown = server.cli("plugins")
    assert "parrot" in shown.stdout and "loaded" in shown.stdout
    launched = server.cli("launch", "--model-name", "polly")
    assert launched.returncode == 0, launched.stderr
    assert launched.stdout.strip() == "polly"
    said = server.cli("chat", "polly", "pieces of eight")
    assert "pieces of eight" in said.stdout
    lines = sum(len(files[f"enginehouse_parrot/{half}.py"].splitlines()) for half in ("plugin", "engine"))
    code = "\n".join(files[f"enginehouse_parrot/{half}.py"] for half in ("plugin", "engine"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 30, lines
