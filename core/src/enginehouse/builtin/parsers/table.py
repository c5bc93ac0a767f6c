"""The parsers by name. vLLM, SGLang and Xinference use these names too, so that registrations made for them work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from ...sdk import ParserSpec

_HERE = "enginehouse.builtin.parsers."


class Row(NamedTuple):
    """One parser. names: the first is its own, the others mean the same. parser: "module:Class" in this package."""

    kind: Literal["tool", "reasoning"]
    names: tuple[str, ...]
    parser: str
    summary: str


ROWS = (
    Row(
        "tool",
        ("hermes", "qwen", "qwen25", "qwen3", "granite4"),
        "hermes:HermesParser",
        '<tool_call>{"name": ..., "arguments": ...}</tool_call>',
    ),
    Row(
        "tool",
        ("qwen3_coder", "qwen3_xml"),
        "function_xml:FunctionXmlParser",
        "<tool_call><function=name><parameter=key>value</parameter></function></tool_call>",
    ),
    Row("tool", ("seed_oss",), "function_xml:SeedParser", "as qwen3_coder, within <seed:tool_call>"),
    Row(
        "tool",
        ("llama3_json", "llama3", "llama4_json", "llama4_pythonic"),
        "llama:LlamaParser",
        '{"name": ..., "parameters": ...}, <|python_tag|>{...}, <function=name>{...}</function>, [name(key=value)]',
    ),
    Row("tool", ("pythonic",), "pythonic:PythonicParser", "[name(key=value), ...]"),
    Row(
        "tool",
        ("mistral",),
        "mistral:MistralParser",
        '[TOOL_CALLS][{"name": ..., "arguments": ...}], [TOOL_CALLS]name[ARGS]{...}',
    ),
    Row(
        "tool",
        ("deepseek_v3", "deepseek_r1"),
        "sections:DeepseekV3Parser",
        "<｜tool▁calls▁begin｜> with the name and a fenced block of JSON for each call",
    ),
    Row(
        "tool",
        ("deepseek_v31", "deepseek_v3_1"),
        "sections:DeepseekV31Parser",
        "<｜tool▁calls▁begin｜> with the name and bare JSON for each call",
    ),
    Row(
        "tool",
        ("deepseek_v32", "deepseek_v3_2", "deepseek_v4"),
        "invocations:DeepseekV32Parser",
        '<｜DSML｜function_calls><｜DSML｜invoke name="name">...',
    ),
    Row(
        "tool",
        ("kimi_k2",),
        "sections:KimiK2Parser",
        "<|tool_calls_section_begin|> with functions.name:index and bare JSON for each call",
    ),
    Row(
        "tool",
        ("glm45", "glm47", "glm5"),
        "glm:Glm45Parser",
        "<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>",
    ),
    Row("tool", ("glm4",), "glm:Glm4Parser", "the name on a line of its own, then {...}"),
    Row(
        "tool",
        ("gemma", "gemma3"),
        "gemma:GemmaParser",
        "```tool_code with Python, [name(key=value)], a JSON object, and all of gemma4 and functiongemma",
    ),
    Row("tool", ("gemma4",), "gemma:Gemma4Parser", '<|tool_call>call:name{key:<|"|>value<|"|>}<tool_call|>'),
    Row(
        "tool",
        ("functiongemma",),
        "gemma:FunctionGemmaParser",
        "<start_function_call>call:name{key:<escape>value<escape>}<end_function_call>",
    ),
    Row(
        "tool",
        ("minimax", "minimax_m1", "minimax_m2"),
        "invocations:MiniMaxParser",
        '<minimax:tool_call><invoke name="name">..., <tool_calls> with a JSON object a line',
    ),
    Row(
        "tool",
        ("openai", "gpt_oss", "harmony"),
        "harmony:HarmonyToolParser",
        "<|channel|>commentary to=functions.name<|message|>{...}<|call|>",
    ),
    Row("tool", ("granite",), "granite:GraniteParser", '<|tool_call|>[{"name": ..., "arguments": ...}]'),
    Row(
        "tool",
        ("phi4_mini_json",),
        "granite:Phi4MiniParser",
        '<|tool_call|>[{"name": ..., "arguments": ...}]<|/tool_call|>, functools[...]',
    ),
    Row(
        "reasoning",
        (
            "think",
            "qwen3",
            "deepseek_r1",
            "deepseek_v3",
            "deepseek_v31",
            "deepseek_v32",
            "deepseek_v4",
            "glm45",
            "kimi_k2",
            "minimax",
            "minimax_m2",
        ),
        "think:ThinkParser",
        "<think>...</think>",
    ),
    Row("reasoning", ("seed_oss",), "think:SeedThinkParser", "<seed:think>...</seed:think>"),
    Row("reasoning", ("mistral",), "think:MistralThinkParser", "[THINK]...[/THINK] or <think>...</think>"),
    Row("reasoning", ("gemma4", "gemma"), "think:Gemma4ThinkParser", "<|channel>thought...<channel|>"),
    Row(
        "reasoning",
        ("granite",),
        "think:GraniteThinkParser",
        "Here is my thought process: ... Here is my response: ..., or <think>...</think><response>...</response>",
    ),
    Row(
        "reasoning",
        ("openai_gptoss", "gpt_oss", "harmony", "openai"),
        "harmony:HarmonyReasoningParser",
        "<|channel|>analysis<|message|>...<|end|>",
    ),
)


def parser_specs() -> Iterator[ParserSpec]:
    """A spec for each name."""
    for row in ROWS:
        own, *others = row.names
        yield ParserSpec(name=own, kind=row.kind, parser=_HERE + row.parser, summary=row.summary)
        for name in others:
            yield ParserSpec(name=name, kind=row.kind, parser=_HERE + row.parser, summary=f"As {own}.")
