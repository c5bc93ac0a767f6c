"""What plugins can rely on is recorded, and what the reference shows is run."""

from __future__ import annotations

import doctest
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enginehouse import sdk
from enginehouse.sdk import hooks

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "sdk_reference.py"
PAGE = ROOT / "docs" / "reference" / "sdk.md"
SECTIONS = (section.partition("\n") for section in PAGE.read_text("utf-8").split("\n### ")[1:])
BLOCKS = [
    (head.strip("`"), text.partition("```pycon\n")[2].partition("```")[0])
    for head, _, text in SECTIONS
    if "```pycon" in text
]


@pytest.fixture(scope="module")
def reference() -> Any:
    spec = importlib.util.spec_from_file_location("sdk_reference", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_surface_is_the_recorded_one(reference: Any) -> None:
    """A change of it is a decision: see "Versions and what may change" in docs/reference/sdk.md."""
    recorded = json.loads((PAGE.parent / "sdk-surface.json").read_text("utf-8"))
    assert reference.surface() == recorded, "run scripts/sdk_reference.py, and look at the diff: who relies on it?"


def test_the_page_is_current() -> None:
    run = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, ""), "run scripts/sdk_reference.py"


def test_a_change_of_a_field_a_signature_or_a_name_is_seen(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.surface()
    monkeypatch.setattr(sdk, "__all__", [name for name in sdk.__all__ if name != "Piece"])
    assert reference.surface() != before
    assert before["names"]["Piece"]["struct"]["tokens"] == "int = 0"
    assert before["names"]["size_in_billions"]["function"] == "(value: object) -> float"


def test_every_hook_has_an_example() -> None:
    assert {name for name in vars(hooks) if name.startswith("enginehouse_")} <= {name for name, _ in BLOCKS}


@pytest.mark.parametrize(("name", "code"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_examples_do_what_they_show(name: str, code: str) -> None:
    test = doctest.DocTestParser().get_doctest(code, {}, name, str(PAGE), 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
