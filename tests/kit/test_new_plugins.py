"""What `enginehouse new-plugin` writes is installed, and its own tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from enginehouse.cli.commands import new_plugin
from enginehouse.host.plugin_shelf import Shelf, Shelved
from enginehouse.sdk import BadRequest
from enginehouse.testing.new_plugins import KINDS, write_plugin

INSTALL = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target")
FIXTURES = ("-p", "enginehouse.testing.pytest_plugin")
SECONDS = 300.0  # of a package's own tests, on a machine that does other things beside


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "enginehouse.cli",
        "new-plugin",
        f"small-{kind}",
        "--kind",
        kind,
        "-o",
        str(package),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
    subprocess.run([sys.executable, *INSTALL, str(site), str(package)], check=True, timeout=SECONDS)
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "enginehouse.testing.pytest_plugin",
            "-c",
            os.devnull,
            "--rootdir",
            ".",
        ],
        cwd=package,
        env={**os.environ, "PYTHONPATH": paths, "ENGINEHOUSE_BLOCKED_PLUGINS": "fake_engine"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]


def test_the_command_offers_every_kind() -> None:
    assert new_plugin.KINDS == KINDS


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "engine") for name in ("Bad Name", "-x", "größe", "a--b", "a" * 51, "3d", "")), ("fine", "stoker")],
)
def test_what_makes_no_sense_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        write_plugin(name, kind, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "kind", "owner"),
    [
        ("core", "engine", "Enginehouse's own"),
        ("vllm", "engine", "Enginehouse's own"),
        ("builtin", "launcher", "Enginehouse's own"),
        ("fake", "family", "module enginehouse_fake is installed"),
        ("file", "source", "builtin"),
        ("llm", "model-type", "builtin"),
        ("think", "parser", "builtin"),
        ("uv", "provisioner", "builtin"),
        ("callable", "launcher", "flexible"),
        ("stoker", "family", "miniatures"),
    ],
)
def test_a_name_that_another_plugin_has_is_refused(name: str, kind: str, owner: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=f"would take a name of .*{owner}"):
        write_plugin(name, kind, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_that_a_plugin_of_the_home_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is on `sys.path` once the home's plugins are looked at, in a process of its own here."""
    home = tmp_path / "home"
    there = Shelved(distribution="enginehouse-cuckoo", version="1.0", digest="0" * 64, source="x", installed_ts=0.0)
    site = Shelf(home).site(there)
    info = site / "enginehouse_cuckoo-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "cuckoo_plugin.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: enginehouse-cuckoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\ncuckoo = cuckoo_plugin\n")
    (home / "plugins" / "installed.json").write_bytes(msgspec.json.encode([there]))
    monkeypatch.setenv("ENGINEHOUSE_HOME", str(home))
    command = [sys.executable, "-m", "enginehouse.cli", "new-plugin", "cuckoo", "--kind", "family", "-o", "second"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=tmp_path)
    assert run.returncode == 1 and "would take a name of the plugin cuckoo" in run.stderr, run.stderr


def test_the_next_step_can_be_copied(tmp_path: Path) -> None:
    words = ("new-plugin", "small-one", "--kind", "family", "-o", "mit leer/ü")
    command = [sys.executable, "-m", "enginehouse.cli", *words]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, cwd=tmp_path)
    assert "cd 'mit leer/ü' && pip install" in run.stderr and (tmp_path / "mit leer/ü/pyproject.toml").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1")
    with pytest.raises(BadRequest, match="not empty"):
        write_plugin("fine", "engine", tmp_path)
