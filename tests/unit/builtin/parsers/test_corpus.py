"""Every parser finds what its corpus says, wherever the text is cut."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enginehouse.builtin.parsers.table import ROWS, parser_specs
from enginehouse.runner.hosting import resolve
from enginehouse.sdk import ReasoningPart, TextPart, ToolCallPart

CORPUS = Path(__file__).parent / "corpus"


class Case(msgspec.Struct, forbid_unknown_fields=True):
    case: str
    text: str
    expected: list[list[Any]]
    prompt_end: str = ""


class File(msgspec.Struct, forbid_unknown_fields=True):
    parser: str
    kind: str
    cases: list[Case]


def read(path: Path) -> File:
    return msgspec.convert(json.loads(path.read_text()), File)  # msgspec's own reader takes no half surrogate pairs


FILES = {path.stem: read(path) for path in sorted(CORPUS.glob("*.json"))}
QUICK = 150  # letters of a text that is cut at every byte each time
CASES = [pytest.param(file, case, id=f"{stem}: {case.case}") for stem, file in FILES.items() for case in file.cases]
LONG_CASES = [case for case in CASES if len(case.values[1].text) >= QUICK]
Tools = tuple[dict[str, Any], ...]


def found(parser: Any, slices: list[str]) -> list[list[Any]]:
    """What came out, neighbouring texts joined, arguments as objects."""
    parts = [part for text in slices for part in parser.feed(text)]
    parts += parser.finish()
    out: list[list[Any]] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            out.append(["call", part.name, json.loads(part.arguments)])
            part.arguments.encode()
            continue
        assert part.text, "an empty part says nothing"
        kind = {TextPart: "text", ReasoningPart: "thought"}[type(part)]
        if out and out[-1][0] == kind:
            out[-1][1] += part.text
        else:
            out.append([kind, part.text])
    return out


def cuts_of(text: str, step: int) -> Iterator[list[str]]:
    """Whole, letter by letter, and in two at every byte, or every few, as a decoder gives it on."""
    yield [text]
    yield list(text)
    data = text.encode()
    for at in range(1, len(data), step):
        decoder = codecs.getincrementaldecoder("utf-8")()
        yield [decoder.decode(data[:at]), decoder.decode(data[at:], final=True)]


def check_cuts(file: File, case: Case, tools: Tools, step: int) -> None:
    (spec,) = (spec for spec in parser_specs() if (spec.name, spec.kind) == (file.parser, file.kind))
    make = resolve(spec.parser)
    for slices in cuts_of(case.text, step):
        assert found(make(case.prompt_end, tools), slices) == case.expected, slices


@pytest.mark.parametrize(("file", "case"), CASES)
def test_the_same_is_found_wherever_the_text_is_cut(file: File, case: Case, tools: Tools) -> None:
    """At every byte of a short text; a long one repeats its tags, so every few bytes of it will do."""
    check_cuts(file, case, tools, 1 + len(case.text) // QUICK)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "case"), LONG_CASES)
def test_long_texts_are_cut_at_every_byte(file: File, case: Case, tools: Tools) -> None:
    check_cuts(file, case, tools, 1)


def test_every_parser_has_a_corpus() -> None:
    assert {(file.parser, file.kind) for file in FILES.values()} == {(row.names[0], row.kind) for row in ROWS}
    assert all(len(file.cases) >= 12 for file in FILES.values())
