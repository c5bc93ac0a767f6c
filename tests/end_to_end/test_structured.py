"""Structured output and LoRA over the wire, with stoker and OpenAI's client."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import openai
import pytest

SPEC = importlib.util.find_spec("enginehouse_miniatures")
STOKER = Path(SPEC.origin).parent / "models" / "stoker" if SPEC and SPEC.origin else Path("absent")
CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "people": {"type": "integer", "minimum": 1, "maximum": 9999}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
QUESTION = [{"role": "user", "content": "Tell me about the capital of France."}]
SAVE = """
import sys, torch, peft
from transformers import AutoModelForCausalLM
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
for name, each in wrapped.named_parameters():
    if "lora_" in name:
        each.data = torch.randn_like(each)
wrapped.save_pretrained(sys.argv[2])
"""


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("lora") / "loud"
    subprocess.run([sys.executable, "-c", SAVE, str(STOKER), str(folder)], check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def client(server: Any, lora: Path) -> openai.OpenAI:
    loras = {"lora_list": [{"lora_name": "loud", "local_path": str(lora)}]}
    server.launch("stoker", model_engine="transformers", peft_model_config=loras)
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)


def ask(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(**{"model": "stoker", "messages": QUESTION, "max_tokens": 100, **fields})


def schema_of(schema: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema(client: openai.OpenAI, stream: bool) -> None:
    answer = ask(client, response_format=schema_of(CITY), temperature=0, stream=stream)
    if stream:
        chunks = [chunk.choices[0] for chunk in answer if chunk.choices]
        text, reason = "".join(each.delta.content or "" for each in chunks), chunks[-1].finish_reason
    else:
        text, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    found = json.loads(text)
    assert reason == "stop" and found["city"] in ("Paris", "Rome") and 1 <= found["people"] <= 9999
    whole = ask(client, response_format=schema_of(CITY), temperature=0)
    assert text == whole.choices[0].message.content


def test_several_choices_each_fit(client: openai.OpenAI) -> None:
    answer = ask(client, response_format=schema_of(CITY), n=4, seed=1, temperature=1.5, logprobs=True, top_logprobs=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    for choice in answer.choices:
        assert json.loads(choice.message.content)["city"] in ("Paris", "Rome")
        assert "".join(each.token for each in choice.logprobs.content[:-1]) == choice.message.content


def test_guided_fields(client: openai.OpenAI) -> None:
    body = {"guided_choice": ["left", "right"]}
    assert ask(client, extra_body=body).choices[0].message.content in body["guided_choice"]
    assert ask(client, extra_body={"extra_body": body}).choices[0].message.content in body["guided_choice"]
    answer = client.completions.create(model="stoker", prompt="Phone: ", extra_body={"guided_regex": r"\d{3}-\d{4}"})
    assert re.fullmatch(r"\d{3}-\d{4}", answer.choices[0].text)


def test_through_the_responses_surface(client: openai.OpenAI) -> None:
    text = {"format": {"type": "json_schema", "name": "city", "schema": CITY}}
    answer = client.responses.create(model="stoker", input="Which city?", text=text, max_output_tokens=100)
    assert json.loads(answer.output_text)["city"] in ("Paris", "Rome")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"response_format": schema_of({"type": "objec"})}, "response_format", "objec"),
        ({"extra_body": {"guided_regex": "("}}, "guided_regex", "unclosed"),
        ({"extra_body": {"guided_grammar": "start: x"}}, "guided_grammar", "unknown name"),
        ({"extra_body": {"lora_name": "quiet"}}, "lora_name", "loud"),
    ],
)
def test_what_cannot_be_is_a_400(client: openai.OpenAI, fields: Any, param: str, word: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, stream=stream, **fields)
    assert caught.value.param == param and word in str(caught.value)


def test_an_adapter_is_chosen_by_request(client: openai.OpenAI) -> None:
    plain, loud, again = (
        ask(client, temperature=0, max_tokens=20, extra_body=body).choices[0].message.content
        for body in ({}, {"lora_name": "loud"}, {"lora_name": None})
    )
    assert plain == again and plain != loud
    with_schema = ask(client, response_format=schema_of(CITY), extra_body={"lora_name": "loud"}, temperature=0)
    assert json.loads(with_schema.choices[0].message.content)["people"] > 0


def test_a_missing_folder_fails_the_launch(server: Any) -> None:
    loras = {"lora_list": [{"lora_name": "lost", "local_path": "/nowhere/lost"}]}
    body = {"model_name": "stoker", "model_uid": "lost", "model_engine": "transformers", "peft_model_config": loras}
    answer = server.client.post("/v1/models", json=body)
    assert answer.status_code == 503 and "no folder /nowhere/lost" in answer.json()["detail"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "find_city"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_must_be_made(client: openai.OpenAI, choice: Any, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "find_city", "parameters": CITY}}
    fields = {"tools": [tool], "tool_choice": choice, "parallel_tool_calls": False, "stream": stream, "temperature": 0}
    answer = ask(client, **fields)
    if stream:
        deltas = [chunk.choices[0].delta for chunk in answer if chunk.choices]
        calls = [call for delta in deltas for call in delta.tool_calls or ()]
    else:
        calls = answer.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["find_city"]
    assert json.loads(calls[0].function.arguments)["city"] in ("Paris", "Rome")
