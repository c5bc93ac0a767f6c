"""An engine spells special tokens out when, and only when, a parser of the answer looks for some."""

import pytest

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
MISTRAL = {"tool_parser": "enginehouse.builtin.parsers.mistral:MistralParser"}
HARMONY = {
    "tool_parser": "enginehouse.builtin.parsers.harmony:HarmonyToolParser",
    "reasoning_parser": "enginehouse.builtin.parsers.harmony:HarmonyReasoningParser",
}
CODER = {"tool_parser": "enginehouse.builtin.parsers.function_xml:FunctionXmlParser"}


@pytest.mark.parametrize(
    ("parsers", "without_tools", "with_tools"),
    [(MISTRAL, False, True), (HARMONY, True, True), (CODER, False, False), ({}, False, False)],
)
def test_special_tokens_are_asked_for(start, parsers, without_tools, with_tools) -> None:
    runner = start({"abilities": ("chat", "tools", "reasoning"), **parsers}).ready()
    assert runner.seen().get("keep_special_tokens", False) is without_tools
    assert runner.seen(tools=[TOOL]).get("keep_special_tokens", False) is with_tools


def test_reasoning_and_calls_of_channels(start) -> None:
    call = '<|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1}'
    text = f"<|channel|>analysis<|message|>I must add.<|end|>{call}"
    runner = start({"abilities": ("chat", "tools", "reasoning"), **HARMONY}, text=text).ready()
    choice = runner.chat("add", tools=[TOOL]).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "I must add."
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":1}'}
