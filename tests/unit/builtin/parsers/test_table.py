"""The names of parsers: all that families use, and those that other servers' users write."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from enginehouse.builtin.catalogue import read_catalogue
from enginehouse.builtin.parsers.blocks import BlockParser
from enginehouse.builtin.parsers.table import ROWS, parser_specs
from enginehouse.host.contributions import Contributions
from enginehouse.runner.hosting import resolve

KNOWN = Contributions()
KNOWN.add({"enginehouse_parsers": list(parser_specs())})

ELSEWHERE = {
    "tool": (
        "hermes mistral llama3_json llama4_json llama4_pythonic pythonic granite granite4 deepseek_v3 deepseek_v31 "
        "deepseek_v32 kimi_k2 glm45 glm47 qwen3_coder qwen3_xml seed_oss minimax minimax_m2 openai functiongemma "
        "gemma4 phi4_mini_json qwen qwen25 llama3 deepseek-v3 deepseek-r1 deepseek-v3.1 deepseek-v3.2 deepseek-v4 "
        "glm4 glm5 gemma gpt_oss harmony"
    ),
    "reasoning": (
        "deepseek_r1 deepseek_v3 qwen3 glm45 kimi_k2 minimax_m2 seed_oss mistral gemma4 granite openai_gptoss gpt_oss"
    ),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_names_that_others_use_are_known(kind: str) -> None:
    assert [name for name in ELSEWHERE[kind].split() if KNOWN.parser(name, kind) is None] == []
    assert KNOWN.parser("Hermes", "tool") == KNOWN.parser("hermes", "tool")
    assert KNOWN.parser("think", "tool") is None


def test_no_family_names_a_parser_that_is_not_there() -> None:
    families = read_catalogue().families
    named = {("tool", family.tool_parser) for family in families}
    named |= {("reasoning", family.reasoning_parser) for family in families}
    assert [pair for pair in named if pair[1] and KNOWN.parser(pair[1], pair[0]) is None] == []
    assert len(named) > 8, "the catalogue was read"


def test_the_page_lists_every_name() -> None:
    page = (Path(__file__).parents[4] / "docs" / "reference" / "parsers.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    listed = [set("".join(re.split(r"(?<!\\)\|", line)[1:3]).split("`")[1::2]) for line in rows]
    assert listed == [set(row.names) for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind} {row.names[0]}")
def test_a_parser_can_be_made(row: Any) -> None:
    (spec,) = (spec for spec in parser_specs() if (spec.name, spec.kind) == (row.names[0], row.kind))
    made = resolve(spec.parser)("the end of a prompt", ())
    assert isinstance(made.needs_special_tokens, bool)
    assert not [*made.feed(""), *made.finish()]
    if isinstance(made, BlockParser):
        starts = itertools.permutations(made.openings, 2)
        assert not [pair for pair in starts if pair[0].startswith(pair[1])], "one tag begins another"
