"""Tool calls and reasoning in several formats, from what a model says to what OpenAI's and Anthropic's clients read."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

WAIT_SECONDS = 60.0  # a busy machine; an answer takes milliseconds
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells the weather", "parameters": PARAMETERS},
}
ANTHROPIC_TOOL = {"name": "weather", "description": "Tells the weather", "input_schema": PARAMETERS}
WANTED = {"city": "Köln", "days": 2}
ARGUMENTS = json.dumps(WANTED, ensure_ascii=False)


class Format(NamedTuple):
    """Parsers as a registration names them, and how a model of this kind says what the tests expect."""

    tool_parser: str
    reasoning_parser: str
    said: str


FORMATS = {
    "coder": Format(
        "qwen3_coder",
        "think",
        "<think>\nI must ask.\n</think>\n\nOne moment.\n<tool_call>\n<function=weather>\n"
        "<parameter=city>\nKöln\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
    ),
    "channels": Format(
        "gpt_oss",
        "openai_gptoss",
        "<|channel|>analysis<|message|>I must ask.<|end|><|start|>assistant<|channel|>commentary<|message|>"
        "One moment.<|end|><|start|>assistant<|channel|>"
        f"commentary to=functions.weather <|constrain|>json<|message|>{ARGUMENTS}",
    ),
    "sections": Format(
        "deepseek-v3.1",
        "deepseek_r1",
        "<think>I must ask.</think>One moment.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>"
        f"{ARGUMENTS}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
}


@pytest.fixture(scope="module")
def launch(server: Any) -> Callable[[str], str]:
    """Registers and launches a model that says what it is told, its parsers being those of a format. Its uid."""
    spec = find_spec("enginehouse_fake")
    assert spec is not None and spec.origin is not None
    weights = Path(spec.origin).parent / "model"

    def run(name: str) -> str:
        if name in server.client.get("/v1/models").text:
            return name
        document = {
            "version": 2,
            "model_name": name,
            "model_lang": ["en"],
            "model_ability": ["chat", "tools", "reasoning"],
            "model_family": "other",
            "tool_parser": FORMATS[name].tool_parser,
            "reasoning_parser": FORMATS[name].reasoning_parser,
            "model_specs": [
                {
                    "model_format": "fake",
                    "model_size_in_billions": 1,
                    "quantization": "none",
                    "model_uri": f"file://{weights}",
                }
            ],
        }
        answer = server.client.post(
            "/v1/model_registrations/LLM", json={"model": json.dumps(document), "persist": False}
        )
        assert answer.status_code == 200, answer.text
        return str(server.launch(name, model_engine="fake", model_uid=name, echo=True))

    return run


@pytest.mark.parametrize("name", FORMATS)
def test_in_openais_shape(server: Any, launch: Callable[[str], str], name: str) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=WAIT_SECONDS, max_retries=0)
    asked: dict[str, Any] = {
        "model": launch(name),
        "messages": [{"role": "user", "content": FORMATS[name].said}],
        "tools": [TOOL],
    }
    with client:
        choice = client.chat.completions.create(**asked).choices[0]
        chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True)]
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content, choice.message.reasoning_content) == ("One moment.", "I must ask.")
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", WANTED)
    deltas = [chunk.delta for chunk in chunks]
    assert chunks[-1].finish_reason == "tool_calls"
    assert "".join(delta.content or "" for delta in deltas) == "One moment."
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "I must ask."
    (streamed,) = [call for delta in deltas for call in delta.tool_calls or []]
    assert (streamed.function.name, json.loads(streamed.function.arguments)) == ("weather", WANTED)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("streams", [False, True])
def test_in_anthropics_shape(server: Any, launch: Callable[[str], str], name: str, streams: bool) -> None:
    asked: dict[str, Any] = {
        "model": launch(name),
        "max_tokens": 500,
        "messages": [{"role": "user", "content": FORMATS[name].said}],
        "tools": [ANTHROPIC_TOOL],
    }
    with anthropic.Anthropic(base_url=server.url, api_key="none", timeout=WAIT_SECONDS, max_retries=0) as client:
        if streams:
            with client.messages.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**asked)
    thinking, text, use = message.content
    assert (thinking.type, thinking.thinking) == ("thinking", "I must ask.")
    assert (text.type, text.text) == ("text", "One moment.")
    assert (use.type, use.name, use.input) == ("tool_use", "weather", WANTED)
    assert message.stop_reason == "tool_use"


def test_what_is_broken_stays_text(server: Any, launch: Callable[[str], str]) -> None:
    said = FORMATS["sections"].said.replace('"days"', "days")
    body = {"model": launch("sections"), "messages": [{"role": "user", "content": said}], "tools": [TOOL]}
    choice = server.client.post("/v1/chat/completions", json=body).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"].get("tool_calls")) == ("stop", None)
    assert choice["message"]["content"] == said.partition("</think>")[2]
