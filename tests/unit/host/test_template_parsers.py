"""A chat template's tags say which parsers read the model's answers."""

import pytest

from enginehouse.builtin.parsers.table import parser_specs
from enginehouse.host.chat_templates import abilities_of
from enginehouse.host.template_parsers import _THINKING, _TOOLS, thinking_of, tool_parser_of

TOOLS = "{% if tools %}{{ tools }}{% endif %}"
CALLS = [
    ('<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call>', "hermes"),
    ("<|start_of_role|>x<tool_call>{arguments}</tool_call>", "hermes"),
    ("<tool_call>\n<function=x>\n<parameter=y>arguments", "qwen3_coder"),
    ("<seed:tool_call>\n<function=x>\n<parameter=y>", "seed_oss"),
    ("[gMASK]<sop><tool_call>{name}<arg_key>k</arg_key>arguments<|observation|>", "glm45"),
    ("[gMASK]<sop><|observation|>", "glm4"),
    ("[TOOL_CALLS] arguments", "mistral"),
    ("<|python_tag|>", "llama3_json"),
    ('<|start_header_id|>Write {"name": x, "parameters": y}', "llama3_json"),
    ("<|header_start|><|python_start|>", "llama4_pythonic"),
    ("{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + x + '<｜tool▁sep｜>' + y + '\\n```json'}}", "deepseek_v3"),
    ("{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + x + '<｜tool▁sep｜>'}}", "deepseek_v31"),
    ("{% set mark = '｜DSML｜' %}<{{ mark }}function_calls>", "deepseek_v32"),
    ("{% set mark = '｜DSML｜' %}<{{ mark }}tool_calls>", "deepseek_v32"),
    ("<|tool_calls_section_begin|>", "kimi_k2"),
    ("{% set begin = '<minimax:tool_call>' %}<invoke name=>", "minimax"),
    ("You are MiniMax. <tool_calls>", "minimax"),
    ("{{ '<|tool_call>call:' + name }}", "gemma4"),
    ("{{ '<start_function_call>call:' + name }}", "functiongemma"),
    ("<|channel|>commentary<|message|>", "openai"),
    ("<|start_of_role|>assistant<|tool_call|>", "granite"),
    ("<|tool_call|>{}<|/tool_call|>", "phi4_mini_json"),
    ("<start_of_turn>user", None),
    ("<tool_call>", None),
]
THOUGHTS = [
    ("<think>\n", "think", ("<think>", "</think>")),
    ("{% if '</think>' in content %}", "think", ("<think>", "</think>")),
    ("{% set t = '<seed:think>' %}", "seed_oss", ("<seed:think>", "</seed:think>")),
    ("[THINK]", "mistral", ("[THINK]", "[/THINK]")),
    ("{{ '<|channel>thought\\n<channel|>' }}", "gemma4", ("<|channel>thought", "<channel|>")),
    ("<|start|>assistant<|channel|>analysis<|message|>", "openai_gptoss", None),
    ("Write your thoughts after 'Here is my thought process:'", "granite", None),
    ("<|start_of_role|><think></think><response></response>", "granite", ("<think>", "</think>")),
]


@pytest.mark.parametrize(("template", "parser"), CALLS)
def test_a_template_tells_its_tool_parser(template: str, parser: str | None) -> None:
    assert tool_parser_of(TOOLS + template) == parser
    assert tool_parser_of(template) is None, "a template that shows no tools"


@pytest.mark.parametrize(("template", "parser", "tags"), THOUGHTS)
def test_a_template_tells_its_reasoning_parser(template: str, parser: str, tags: tuple[str, str] | None) -> None:
    assert thinking_of(template) == (parser, tags)
    assert "reasoning" in abilities_of(template)


def test_a_template_without_thoughts() -> None:
    assert thinking_of("{{ messages }} I think") is None


def test_every_name_is_a_parsers() -> None:
    known = {(spec.kind, spec.name) for spec in parser_specs()}
    assert {("tool", sign.parser) for sign in _TOOLS} <= known
    assert {("reasoning", sign.parser) for sign, _ in _THINKING} <= known
    assert {sign.parser for sign in _TOOLS} == {parser for _, parser in CALLS if parser}
