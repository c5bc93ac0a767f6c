"""Which parsers read what a chat template makes a model write. Pure: by the tags in the template's text.

Names are those of the built-in plugin's parsers; where it is not there, the model still runs, its text unparsed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CODE = re.compile(r"\{[{%](.*?)[%}]\}", re.S)
_SHOWN_TOOLS = re.compile(r"\b(?:tools|builtin_tools|custom_tools|tool_list)\b")


class Sign(NamedTuple):
    """A parser, the texts that its template has, and those that it has not."""

    parser: str
    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()


class Thinking(NamedTuple):
    """A parser of reasoning, and its tags where it goes by one pair."""

    parser: str
    tags: tuple[str, str] | None


_TOOLS = (
    Sign("deepseek_v32", ("｜DSML｜", "_calls")),
    Sign("deepseek_v3", ("<｜tool▁calls▁begin｜>", "```json")),
    Sign("deepseek_v31", ("<｜tool▁calls▁begin｜>",)),
    Sign("kimi_k2", ("<|tool_calls_section_begin|>",)),
    Sign("minimax", ("<minimax:tool_call>",)),
    Sign("minimax", ("<tool_calls>", "MiniMax")),
    Sign("seed_oss", ("<seed:tool_call>",)),
    Sign("gemma4", ("<|tool_call>call:",)),
    Sign("functiongemma", ("<start_function_call>call:",)),
    Sign("mistral", ("[TOOL_CALLS]",)),
    Sign("openai", ("<|channel|>", "<|message|>")),
    Sign("qwen3_coder", ("<tool_call>", "<function=", "<parameter=")),
    Sign("glm45", ("<tool_call>", "<arg_key>")),
    Sign("hermes", ("<tool_call>", "arguments"), ("<function=", "<arg_key>")),
    Sign("granite", ("<|tool_call|>", "<|start_of_role|>")),
    Sign("phi4_mini_json", ("<|tool_call|>", "<|/tool_call|>")),
    Sign("llama4_pythonic", ("<|python_start|>", "<|header_start|>")),
    Sign("llama3_json", ("<|python_tag|>",)),
    Sign("llama3_json", ("<|start_header_id|>", '"parameters"')),
    Sign("glm4", ("[gMASK]", "<|observation|>")),
)

_THINKING = (
    (Sign("openai_gptoss", ("<|channel|>", "<|message|>", "analysis")), None),
    (Sign("seed_oss", ("seed:think>",)), ("<seed:think>", "</seed:think>")),
    (Sign("mistral", ("[THINK]",)), ("[THINK]", "[/THINK]")),
    (Sign("gemma4", ("<|channel>thought",)), ("<|channel>thought", "<channel|>")),
    (Sign("granite", ("Here is my thought process",)), None),
    (Sign("granite", ("<think>", "<response>", "<|start_of_role|>")), ("<think>", "</think>")),
    (Sign("think", ("<think>",)), ("<think>", "</think>")),
    (Sign("think", ("</think>",)), ("<think>", "</think>")),
)


def code_of(template: str) -> str:
    """The template without its plain text."""
    return "\n".join(_CODE.findall(template))


def tool_parser_of(template: str) -> str | None:
    """The parser of tool calls, for a template that shows tools to the model in a form that is known by its tags."""
    if not _SHOWN_TOOLS.search(code_of(template)):
        return None
    return next((sign.parser for sign in _TOOLS if _bears(template, sign)), None)


def thinking_of(template: str) -> Thinking | None:
    """How reasoning is told from the answer; None when the template shows no reasoning."""
    return next((Thinking(sign.parser, tags) for sign, tags in _THINKING if _bears(template, sign)), None)


def _bears(template: str, sign: Sign) -> bool:
    return all(text in template for text in sign.has) and not any(text in template for text in sign.lacks)
