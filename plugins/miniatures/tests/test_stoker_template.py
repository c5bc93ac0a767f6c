"""The chat template writes what the training wrote, whatever form the request has."""

import json
from functools import cache
from itertools import islice
from typing import Any

import pytest

from enginehouse_miniatures.stoker.corpus.dialogue import Dialogue, Tool
from enginehouse_miniatures.stoker.corpus.mixture import training_stream
from enginehouse_miniatures.stoker.rendering import TEMPLATE, prompt_text, segments

jinja2 = pytest.importorskip("jinja2")
WEATHER = Tool("get_weather", "Get the weather of a city", (("city", "string"),))


@cache
def _template() -> Any:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(TEMPLATE.read_text())


def render(messages: list[dict[str, Any]], **given: Any) -> str:
    text: str = _template().render(messages=messages, **given)
    return text


def _given(dialogue: Dialogue) -> dict[str, Any]:
    return {"tools": [tool.as_openai() for tool in dialogue.tools], "enable_thinking": dialogue.thinking}


def test_prompts_are_those_of_the_training() -> None:
    for dialogue in islice(training_stream(11), 1000):
        if not dialogue.plain:
            messages = [message.as_openai() for message in dialogue.prompt]
            assert render(messages, add_generation_prompt=True, **_given(dialogue)) == prompt_text(dialogue)


def test_whole_dialogues_are_those_of_the_training() -> None:
    for dialogue in islice(training_stream(12), 500):
        if not dialogue.plain and not dialogue.thinking:
            messages = [message.as_openai() for message in (*dialogue.prompt, dialogue.answer)]
            learned = "".join(segment.text for segment in segments(dialogue))
            assert render(messages, **_given(dialogue)) == learned + "\n"


def test_a_plain_question() -> None:
    text = render([{"role": "user", "content": "Hello"}], add_generation_prompt=True)
    assert text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def test_content_in_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert render([{"role": "user", "content": parts}]) == render([{"role": "user", "content": "Hello"}])


def test_thinking_adds_one_line_to_the_system_turn() -> None:
    text = render([{"role": "user", "content": "Hello"}], enable_thinking=True)
    assert text.startswith("<|im_start|>system\nThink before you answer.<|im_end|>\n")


def test_tools_system_and_thinking_share_a_turn() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    text = render(messages, tools=[WEATHER.as_openai()], enable_thinking=True)
    line = '{"name": "get_weather", "description": "Get the weather of a city", "parameters": {"city": "string"}}'
    head = f"<|im_start|>system\nBe brief.\n<tools>\n{line}\n</tools>\nThink before you answer.<|im_end|>\n"
    assert text.startswith(head)


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, '{"city": "Oslo"}'], ids=["object", "text"])
def test_calls_with_arguments_as_object_or_text(arguments: object) -> None:
    call = {"type": "function", "id": "1", "function": {"name": "get_weather", "arguments": arguments}}
    messages = [{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    wanted = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>\n'
    assert render(messages).endswith(wanted)


def test_neighbouring_results_share_a_turn() -> None:
    messages = [{"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]
    responses = "\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>"
    assert render(messages) == f"<|im_start|>user{responses}<|im_end|>\n"


def test_earlier_thoughts_are_left_out() -> None:
    messages = [{"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"}]
    assert render(messages) == "<|im_start|>assistant\nHello<|im_end|>\n"


def test_a_tool_without_description_or_parameters() -> None:
    text = render([{"role": "user", "content": "x"}], tools=[{"type": "function", "function": {"name": "now"}}])
    assert '{"name": "now", "description": "", "parameters": {}}' in text
