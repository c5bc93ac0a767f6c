"""What holds of all parsers: text flows at once, nothing is lost, nothing raises, and work grows with the text."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from enginehouse.builtin.parsers.blocks import BlockParser
from enginehouse.builtin.parsers.harmony import HarmonyReasoningParser
from enginehouse.builtin.parsers.hermes import HermesParser
from enginehouse.builtin.parsers.table import ROWS, parser_specs
from enginehouse.builtin.parsers.tags import either
from enginehouse.builtin.parsers.think import ThinkParser
from enginehouse.runner.hosting import resolve
from enginehouse.runner.parsing import ParserChain
from enginehouse.sdk import Parser, ReasoningPart, TextPart, ToolCallPart

Tools = tuple[dict[str, Any], ...]
Make = Callable[[str, Tools], Parser]
PARSERS = [pytest.param(resolve(spec.parser), id=f"{spec.kind} {spec.name}") for spec in parser_specs()]
OWN = {f"{row.kind} {row.names[0]}" for row in ROWS}
ONE_EACH = [each for each in PARSERS if each.id in OWN]
TAG = re.compile(r"""<[^<>\s]{1,30}>|\[/?[A-Z_]+\]|```\w+|functools""")
WORDS = [*'{}[]():;=<|" \n\\', "get_weather", "a", "é", "😀", "x" * 40, '"name"', "now()", "call:now{}"]
WORDS += ['{"name": "now", "arguments": {}}', "commentary to=functions.now"]


def every(parser: Parser, slices: list[str]) -> list[Any]:
    return [part for text in slices for part in parser.feed(text)] + list(parser.finish())


def letters(parts: list[Any]) -> str:
    return "".join(part.text for part in parts if not isinstance(part, ToolCallPart))


def merged(parts: list[Any]) -> list[Any]:
    """Neighbouring texts joined, so that it does not matter how they were sliced."""
    kinds = itertools.groupby(parts, key=lambda part: part if isinstance(part, ToolCallPart) else type(part))
    return [kind if isinstance(kind, ToolCallPart) else (kind, letters(list(group))) for kind, group in kinds]


def corpus_of(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.json")):
        yield from (case["text"] for case in json.loads(path.read_text())["cases"])


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(corpus_of(Path(__file__).parent / "corpus"))


def slices_of(text: str, chance: random.Random) -> list[str]:
    places = sorted(chance.sample(range(len(text) + 1), min(6, len(text))))
    return [text[a:b] for a, b in itertools.pairwise([0, *places, len(text)])]


def test_text_flows_as_soon_as_it_can() -> None:
    parser = HermesParser()
    assert list(parser.feed("Hello")) == [TextPart("Hello")]
    assert list(parser.feed(" world <")) == [TextPart(" world")]
    assert list(parser.feed("3")) == [TextPart(" <3")]


def test_thoughts_flow_as_soon_as_they_can() -> None:
    parser = ThinkParser("<think>")
    assert list(parser.feed("one")) == [ReasoningPart("one")]
    assert list(parser.feed(" two\n")) == [ReasoningPart(" two")]
    assert list(parser.feed("three")) == [ReasoningPart("\nthree")]


def test_channels_flow_as_soon_as_they_can() -> None:
    parser = HarmonyReasoningParser()
    assert list(parser.feed("<|channel|>analysis<|message|>one")) == [ReasoningPart("one")]
    assert list(parser.feed(" two <|")) == [ReasoningPart(" two ")]
    assert list(parser.feed("end|><|start|>assistant<|channel|>final<|message|>three")) == [TextPart("three")]


@pytest.mark.parametrize("make", ONE_EACH)
def test_a_call_comes_before_the_text_after_it(make: Make, tools: Tools) -> None:
    """Nothing but the start of a tag is held back once the text is no block."""
    parser = make("", tools)
    assert letters(every(parser, ["word " * 50, "and"])) == "word " * 50 + "and"
    parser = make("", tools)
    out = [part for text in ("Some text ", "without ", "any tag") for part in parser.feed(text)]
    assert letters(out).rstrip() == "Some text without any tag"


@pytest.mark.parametrize("make", ONE_EACH)
@pytest.mark.parametrize("with_tools", [True, False])
def test_random_text_is_kept_wherever_it_is_cut(make: Any, with_tools: bool, tools: Tools, texts: list[str]) -> None:
    chance = random.Random(11)
    shown = tools if with_tools else ()
    pieces = WORDS + sorted({tag for text in texts for tag in TAG.findall(text)})
    for _ in range(50):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 25)))
        whole = every(make("", shown), [text])
        check_kept(make, text, whole)
        for slices in (slices_of(text, chance), list(text)):
            assert merged(every(make("", shown), slices)) == merged(whole), text


@pytest.mark.parametrize("make", ONE_EACH)
def test_text_of_other_formats_is_kept(make: Any, tools: Tools, texts: list[str]) -> None:
    chance = random.Random(5)
    for text in texts:
        whole = every(make("", tools), [text])
        check_kept(make, text, whole)
        assert merged(every(make("", tools), slices_of(text, chance))) == merged(whole), text


def check_kept(make: Any, text: str, parts: list[Any]) -> None:
    """Nothing is left out but what became a call, tags of reasoning, and white space next to either."""
    if issubclass(make, BlockParser):
        if not any(isinstance(part, ToolCallPart) for part in parts):
            assert letters(parts) == text
    elif issubclass(make, ThinkParser):
        tags = either((*make.opens, *make.closes, *(make.answer or ())))
        assert "".join(tags.sub("", letters(parts)).split()) == "".join(tags.sub("", text).split())
    elif "<|message|>" not in text:
        assert letters(parts) == text


SHORT, LONG = 2_500, 30_000  # letters
SHAPES = {
    "white space": lambda tag: " \n",
    "tags": lambda tag: tag,
    "tags and braces": lambda tag: tag + '{"',
    "brackets and strings": lambda tag: '{[("a\\": "',
    "ends": lambda tag: '"</tool_call></function>```<|end|>',
}


def seconds(make: Any, tools: Tools, slices: list[str]) -> float:
    begin = process_time()
    chain = ParserChain([make("", tools)])
    for text in slices:
        chain.feed(text)
    chain.finish()
    return process_time() - begin


@pytest.mark.parametrize("make", ONE_EACH)
@pytest.mark.parametrize("shape", SHAPES)
def test_long_text_in_one_piece_takes_linear_time(make: Any, shape: str, tools: Tools) -> None:
    """Quadratic work would take 144 times as long; linear takes 12 times."""
    tags = getattr(make, "openings", None) or getattr(make, "opens", ("<|channel|>",))
    for tag in tags:
        text = tag + SHAPES[shape](tag) * LONG
        short = min(seconds(make, tools, [text[:SHORT]]) for _ in range(2))
        assert seconds(make, tools, [text[:LONG]]) < 80 * max(short, 0.002), tag


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begin", "more"),
    [
        ("tool hermes", '<tool_call>{"text": "', "word"),
        ("tool hermes", "", " \n \n"),
        ("tool llama3_json", '{"name": "', "\\\\\\\\"),
        ("tool openai", "<|channel|>commentary to=functions.f<|message|>", "word"),
        ("reasoning think", "<think>", "\n\n\n\n"),
    ],
)
def test_long_text_in_slices_takes_linear_time(name: str, begin: str, more: str, tools: Tools) -> None:
    """Text that is held back is not copied with every slice: a megabyte would take 1,000 times as long, not 20."""
    (make,) = (each.values[0] for each in PARSERS if each.id == name)
    slices = [begin, *[more * 4] * (1_000_000 // (4 * len(more)))]
    short = min(seconds(make, tools, slices[: len(slices) // 20]) for _ in range(3))
    assert seconds(make, tools, slices) < 200 * short
