"""Options of vLLM's own that need a launch of their own: guesses ahead, its parsers, shards on a CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}


def asked(house: Any, uid: str, question: str, **fields: Any) -> Any:
    body = {"model": uid, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 100}
    answer = house.client.post("/v1/chat/completions", json={**body, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]


def sum_of(house: Any, name: str, uid: str) -> float:
    """A counter of vLLM's on the gateway's page."""
    lines = house.client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith(f"{name}{{") and f'model="{uid}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


@pytest.fixture(scope="module")
def guessing(vllm_house: Any) -> Iterator[str]:
    """One launch for all: its options do not meddle with each other. The names of both parsers are only vLLM's."""
    parsers = {"tool_call_parser": "qwen3_json", "reasoning_parser": "mimo"}
    yield vllm_house.launch_slowly("stoker", model_uid="guessing", speculative_config=NGRAM, **parsers)
    vllm_house.client.delete("/v1/models/guessing")


@pytest.mark.slow
def test_tokens_guessed_ahead_are_the_same_tokens(vllm_house: Any, guessing: str, wait: Any) -> None:
    words = [asked(vllm_house, uid, "Count from 1 to 20.")["content"] for uid in (vllm_house.stoker, guessing)]
    assert words[0] == words[1] and "19, 20" in words[1]
    accepted = "vllm:spec_decode_num_accepted_tokens_total"  # a worker that is busy is left out of the page
    wait(lambda: sum_of(vllm_house, accepted, guessing) > 0, what="a guess that was right")


@pytest.mark.slow
def test_a_tool_parser_that_only_vllm_has(vllm_house: Any, guessing: str) -> None:
    question = "What is the weather in Oslo?"
    ours, theirs = (asked(vllm_house, uid, question, tools=[WEATHER]) for uid in (vllm_house.stoker, guessing))
    named = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for (call,) in _calls(ours, theirs)]
    assert named[0] == named[1] == ("get_weather", {"city": "Oslo"}) and not theirs["content"]


def _calls(*messages: Any) -> list[Any]:
    return [message["tool_calls"] for message in messages]


@pytest.mark.slow
def test_a_reasoning_parser_that_only_vllm_has(vllm_house: Any, guessing: str) -> None:
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    question = "What is 17 plus 25?"
    ours, theirs = (asked(vllm_house, uid, question, **thinking) for uid in (vllm_house.stoker, guessing))
    assert theirs["reasoning_content"].strip() == ours["reasoning_content"].strip() != ""
    assert theirs["content"].strip() == ours["content"].strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"tool_call_parser": "nobodys"}, "no tool parser 'nobodys'"),
        ({"reasoning_parser": "olmo3"}, "'olmo3' does not go with this model's tokenizer"),
    ],
    ids=str,
)
def test_a_parser_that_cannot_be_fails_the_launch(vllm_house: Any, option: dict[str, str], words: str) -> None:
    answer = vllm_house.try_launching("stoker", model_uid="odd-parser", **option)
    assert answer.status_code == 503 and words in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "status", "words"),
    [
        ({"quantization": "awq"}, 400, "no such variant"),  # the launch's own field: which of the family's weights
        ({"extra": {"quantization": "nonsense"}}, 503, "nonsense"),
    ],
    ids=str,
)
def test_a_quantization_that_cannot_be_is_refused(
    vllm_house: Any, option: dict[str, Any], status: int, words: str
) -> None:
    answer = vllm_house.try_launching("stoker", model_uid="odd-weights", **option)
    assert answer.status_code == status and words in answer.json()["detail"]


@pytest.mark.slow
def test_two_shards_on_a_cpu_say_the_same(vllm_house: Any) -> None:
    if vllm_house.place != "cpu":
        pytest.skip("shards on devices need two of them")
    uid = vllm_house.launch_slowly("stoker", model_uid="halved", tensor_parallel_size=2)
    words = [asked(vllm_house, each, "Count from 1 to 20.")["content"] for each in (vllm_house.stoker, uid)]
    assert words[0] == words[1]
    vllm_house.client.delete(f"/v1/models/{uid}")
