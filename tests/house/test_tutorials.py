"""The tutorials' code is what the tests run: each block with a title becomes a file."""

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIALS = Path(__file__).parents[2] / "docs/tutorials"
TUTORIAL = TUTORIALS / "write-an-engine.md"
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


def test_the_launcher_of_the_tutorial_works(tmp_path: Path, new_server) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    write_files(TUTORIALS / "first-launcher.md", package)
    file = package / "spelling.json"
    file.write_text(file.read_text().replace("/path/to", str(package)))
    server = new_server(PYTHONPATH=os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, str(site), str(package)], check=True, timeout=120)  # beside a server that runs already
    registered = server.cli("register", "--model-type", "flexible", "--file", str(file))
    assert registered.returncode == 0, registered.stderr
    launched = server.cli("launch", "--model-type", "flexible", "--model-name", "spelling")
    assert launched.returncode == 0, launched.stderr
    said = server.cli("infer", "spelling", "the qick browm fox")
    assert said.stdout == '{"text": "the quick brown fox"}\n', said.stderr
    asked = [sys.executable, str(package / "ask.py")]
    answer = subprocess.run(asked, env=server.environment, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "the lazy dog\n", answer.stderr
    sent = {"model": "spelling", "args": ["the lazi dog"], "near": 0.5}
    assert server.client.post("/v1/flexible/infers", json=sent).json() == {"text": "the lazy dog"}


def test_the_family_of_the_tutorial_works(tmp_path: Path, new_server) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    write_files(TUTORIALS / "first-family.md", package)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, str(site), str(package)], check=True, timeout=120)
    server = new_server(PYTHONPATH=os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    launched = server.cli("launch", "--model-name", "fireman")
    assert launched.returncode == 0, launched.stderr
    said = server.cli("chat", "fireman", "Hello!")
    assert said.returncode == 0 and said.stdout.strip(), said.stderr
    certified = server.cli("certify", "fireman", "--level", "silver")
    assert "fireman 0.1.0: silver" in certified.stdout, certified.stderr


def test_the_server_binary_of_the_page_works(tmp_path: Path, new_server) -> None:
    """Installed as pip would: a package, and the metadata that names its entry point."""
    write_files(TUTORIALS.parent / "how-to/wrap-a-server-binary.md", tmp_path)
    info = tmp_path / "wrapped-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wrapped\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\nwrapped = wrapped.plugin\n")
    server = new_server(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    uid = server.launch("wrapped-test", model_engine="wrapped")
    assert server.complete(uid, "hello").json()["choices"][0]["text"] == "HELLO"
    lacking = server.cli("certify", "wrapped", "--level", "bronze", "--only", "completions", "--only", "refusals")
    assert lacking.returncode == 1 and "wrapped 1.0: no level" in lacking.stdout
    for name in ("completions.streams_are_events", "completions.stop_cuts", "refusals.completion_without_prompt"):
        assert f"FAILED   {name} " in lacking.stderr
    assert "FAILED   completions.has_text" not in lacking.stderr
