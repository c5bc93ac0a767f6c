"""Checks of what is no engine find what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.contributions import Contributions
from enginehouse.sdk import ModelFamily, ParserSpec, SourceSpec, Variant
from enginehouse.testing.checks.parts import PARTS, Part
from enginehouse.testing.reports import run_checks

CODE = """
from pathlib import Path
from enginehouse.sdk import TextPart

class Careless:
    def __init__(self, prompt_end="", tools=()): pass
    def feed(self, text): return [TextPart(text.strip())] if text.strip() else []
    def finish(self): return []

def fetch(reference, folder, report):
    raise KeyError(reference)
"""
WEIGHTS = Variant(format="pytorch", size_in_billions="1", sources=("nowhere:x",))
WRONG: list[tuple[str, Any, set[str]]] = [
    (
        "parsers",
        ParserSpec(name="careless", kind="tool", parser="kit_wrong:Careless"),
        {"parser_does_not_care_for_cuts"},
    ),
    ("parsers", ParserSpec(name="gone", kind="tool", parser="kit_wrong:Gone"), {"parser_keeps_plain_text"}),
    ("sources", SourceSpec(scheme="Loud", fetch="kit_wrong:fetch", local=True), {"source_has_a_scheme"}),
    (
        "sources",
        SourceSpec(scheme="rude", fetch="kit_wrong:fetch", local=True),
        {"source_refuses_what_is_not_there"},
    ),
    (
        "families",
        ModelFamily(name="lost", model_type="LLM", variants=(WEIGHTS,), abilities=("chat",), tool_parser="none"),
        {"family_has_a_known_type", "family_has_sources", "family_has_its_parsers", "family_describes_itself"},
    ),
]


@pytest.mark.parametrize(("kind", "item", "names"), WRONG, ids=[str(sorted(names)[0]) for _, _, names in WRONG])
def test_what_is_wrong_is_found(
    kind: str, item: Any, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kit_wrong.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    part = Part(kind=kind, name="wrong", item=item, contributions=Contributions())
    failed = {result.check.name for result in run_checks(PARTS, part, part) if result.state == "failed"}
    assert {f"parts.{name}" for name in names} <= failed
