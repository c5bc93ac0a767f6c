"""The source `modelscope` against a hub of our own, by the real library."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enginehouse.builtin.hub import fetch_model_scope
from enginehouse.sdk import FetchProgress, LaunchFailed, ModelNotFound, NotAllowed, read_manifest

WEIGHTS = os.urandom(300_000)
FILES = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "sub/notes.txt": b"words"}

needs_library = pytest.mark.skipif(not importlib.util.find_spec("modelscope_hub"), reason="modelscope-hub is optional")


@pytest.fixture(autouse=True)
def repository(hub: Any, variables: pytest.MonkeyPatch) -> None:
    hub.put("org/tiny", FILES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def fetch(reference: str, folder: Path) -> list[FetchProgress]:
    reports: list[FetchProgress] = []
    assert fetch_model_scope(reference, folder, reports.append) == folder
    return reports


@needs_library
def test_a_repository_is_fetched_whole(folder: Path) -> None:
    reports = fetch("org/tiny", folder)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert max(one.done_bytes for one in reports) == len(WEIGHTS)
    manifest = read_manifest(folder)
    assert manifest is not None and manifest.complete and manifest.uri == "modelscope:org/tiny"


@needs_library
def test_a_cut_connection_is_taken_up_where_it_broke(hub: Any, folder: Path) -> None:
    hub.order(cut={"model.safetensors": [140_000]})
    fetch("org/tiny", folder)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [one["range"] for one in hub.requests() if one["range"]]
    assert len(ranges) == 1 and int(ranges[0].removeprefix("bytes=").rstrip("-")) >= 64 * 2**10


@needs_library
def test_a_hub_without_ranges_sends_all_again(hub: Any, folder: Path) -> None:
    hub.order(cut={"model.safetensors": [140_000]}, deaf_to_ranges=True)
    fetch("org/tiny", folder)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@needs_library
def test_a_wrong_checksum_is_told(hub: Any, folder: Path) -> None:
    hub.order(corrupt=["model.safetensors"])
    with pytest.raises(LaunchFailed, match=r"model\.safetensors came with a checksum"):
        fetch("org/tiny", folder)


@needs_library
@pytest.mark.parametrize("reference", ["org/nothing", "org/tiny@v9"])
def test_what_is_not_there_is_told(reference: str, folder: Path) -> None:
    with pytest.raises(ModelNotFound, match="on ModelScope"):
        fetch(reference, folder)


@needs_library
def test_a_refusal_is_told(hub: Any, folder: Path) -> None:
    hub.order(answers=[[403, {}]] * 3)
    with pytest.raises(NotAllowed, match="MODELSCOPE_API_TOKEN"):
        fetch("org/tiny", folder)


def test_without_the_library_it_says_what_to_install(folder: Path) -> None:
    """In an interpreter that has no such module."""
    code = (
        "import sys; from pathlib import Path\n"
        "sys.modules['modelscope_hub'] = None\n"
        "from enginehouse.builtin.hub import fetch_model_scope\n"
        f"fetch_model_scope('org/tiny', Path({str(folder)!r}), print)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install modelscope-hub" in ended.stderr
