"""The same words on every engine: what stoker says, how it is cut, counted and refused, must not depend on who runs it.

An engine joins by one line in ENGINES: its name, the format of its weights, and its options. What is compared is what
the first line's engine answers; greedy decoding throughout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest


class Row(NamedTuple):
    """An engine in the table. converts_to: the format that stoker is converted to for it; empty when it needs none."""

    engine: str
    converts_to: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default is nobody's to change


ENGINES = (
    Row("transformers"),
    Row("llama.cpp", "gguf", {"n_parallel": 8, "cache_type_k": "f32", "cache_type_v": "f32"}),  # as exact as the first
    Row("vllm"),  # in an environment of its own, with another transformers than the server's
)
FIRST, *OTHERS = ENGINES
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTIONS = (
    "What is the largest animal?",
    "What is 12 plus 30?",
    "Count from 1 to 20.",
    "Hello!",
    "Tell me about yourself.",
    "Grüße, 你好 🎉!",
    "a  b\n\n c\t1234567",
)
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def asks(vllm_house: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ask]]:
    """By engine: posts a body to a route of the stoker that it runs, all on one server."""
    yield {row.engine: _launched(vllm_house, row, tmp_path_factory) for row in ENGINES}
    for row in ENGINES:
        if row.engine != "vllm":
            vllm_house.client.delete(f"/v1/models/{_uid(row)}")


def _launched(server: Any, row: Row, folders: pytest.TempPathFactory) -> Ask:
    uid = _uid(row)
    fields: dict[str, Any] = {"model_uid": uid, "model_engine": row.engine, **row.options}
    if row.converts_to:
        file = folders.mktemp("weights") / f"stoker.{row.converts_to}"
        ended = server.cli("convert", "stoker", "--to", row.converts_to, "--type", "f32", "-o", str(file))
        assert ended.returncode == 0, ended.stderr
        fields["model_path"] = str(file)
    if uid != server.stoker:
        server.launch("stoker", **fields)

    def ask(route: str, **body: Any) -> Any:
        return server.client.post(f"/v1/{route}", json={"model": uid, "temperature": 0, **body})

    return ask


def _uid(row: Row) -> str:
    return f"stoker-{row.engine.replace('.', '-')}"


@pytest.fixture(params=OTHERS, ids=lambda row: row.engine)
def both(request: pytest.FixtureRequest, asks: dict[str, Ask]) -> Callable[..., tuple[Any, Any]]:
    """Asks the first engine and another the same; both answers without what is never the same twice."""

    def ask(route: str, **body: Any) -> tuple[Any, Any]:
        first, other = (asks[engine](route, **body) for engine in (FIRST.engine, request.param.engine))
        assert first.status_code == other.status_code, (first.text, other.text)
        return _lasting(first), _lasting(other)

    return ask


def _lasting(answer: Any) -> Any:
    body = answer.json()
    for name in ("id", "created", "model"):
        body.pop(name, None)
    for choice in body.get("choices") or ():
        for call in choice.get("message", {}).get("tool_calls") or ():
            call.pop("id")
    return body


def chat(words: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": words}]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_chat(both: Any, question: str) -> None:
    first, other = both("chat/completions", messages=chat(question), max_tokens=80)
    assert other == first


def test_sampling_that_nobody_named(both: Any) -> None:
    """Stoker's authors say greedy."""
    first, other = both("chat/completions", messages=chat("Tell me about yourself."), temperature=None, max_tokens=40)
    assert other == first


def test_a_conversation_with_a_system_prompt(both: Any) -> None:
    messages = [
        {"role": "system", "content": "You are stoker."},
        *chat("What is 2 plus 2?"),
        {"role": "assistant", "content": "2 plus 2 is 4."},
        *chat("And the largest animal?"),
    ]
    first, other = both("chat/completions", messages=messages, max_tokens=60)
    assert other == first


@pytest.mark.parametrize("thinks", [True, False])
def test_reasoning_is_kept_apart(both: Any, thinks: bool) -> None:
    first, other = both(
        "chat/completions", messages=chat("What is 17 plus 25?"), chat_template_kwargs={"enable_thinking": thinks}
    )
    assert other == first
    assert bool(other["choices"][0]["message"].get("reasoning_content")) == thinks


def test_a_tool_is_called(both: Any) -> None:
    first, other = both("chat/completions", messages=chat("What is the weather in Paris?"), tools=[WEATHER])
    assert other == first and other["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 3},
        {"max_tokens": 1},
        {"max_completion_tokens": 5},
        {"stop_token_ids": [19]},
        {"n": 3},
        {"repetition_penalty": 1.3, "max_tokens": 30},
        {"logit_bias": {"19": -100}, "max_tokens": 30},
        {"top_p": 0.5, "top_k": 3, "min_p": 0.1},
        {"request_id": "ours", "user": "somebody"},
    ],
    ids=str,
)
def test_how_an_answer_is_cut_and_counted(both: Any, fields: dict[str, Any]) -> None:
    first, other = both("chat/completions", messages=chat("Count from 1 to 20."), **fields)
    assert other == first


@pytest.mark.parametrize("stop", ["12", ["7", "9", "zzz"], "1"], ids=str)
def test_stop_strings(both: Any, stop: Any) -> None:
    """Tokens that were ready together with the one that ends the stop string are counted, on every engine."""
    first, other = both("chat/completions", messages=chat("Count from 1 to 20."), stop=stop)
    assert other["choices"] == first["choices"] and other["choices"][0]["stop_reason"]
    assert other["usage"]["prompt_tokens"] == first["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    "prompt", ["The largest animal is", ["The largest animal is", "12 plus 30 is"], [341, 719, 1067], [[341], [719]]]
)
def test_completions(both: Any, prompt: Any) -> None:
    first, other = both("completions", prompt=prompt, max_tokens=12)
    assert other == first


def test_an_answer_ends_at_the_context(both: Any) -> None:
    first, other = both("completions", prompt="a", max_tokens=1024, ignore_eos=True)
    assert [one["choices"][0]["finish_reason"] for one in (first, other)] == ["length", "length"]
    assert other["usage"] == first["usage"] and other["usage"]["total_tokens"] == 1024


def test_logprobs(both: Any) -> None:
    first, other = both("chat/completions", messages=chat("What is the largest animal?"), logprobs=True, top_logprobs=3)
    kept, found = (one["choices"][0]["logprobs"]["content"] for one in (first, other))
    assert [_without_numbers(token) for token in found] == [_without_numbers(token) for token in kept]
    for ours, theirs in zip(found, kept, strict=True):
        assert ours["logprob"] == pytest.approx(theirs["logprob"], abs=5e-3)
        assert [one["logprob"] for one in ours["top_logprobs"]] == sorted(
            (one["logprob"] for one in ours["top_logprobs"]), reverse=True
        )


def _without_numbers(token: dict[str, Any]) -> tuple[Any, ...]:
    return token["token"], token["bytes"], token["top_logprobs"][0]["token"], len(token["top_logprobs"])


@pytest.mark.parametrize("logprobs", [0, 2])
def test_logprobs_of_completions(both: Any, logprobs: int) -> None:
    first, other = both("completions", prompt="The largest animal is", max_tokens=4, logprobs=logprobs)
    kept, found = (one["choices"][0]["logprobs"] for one in (first, other))
    assert found["tokens"] == kept["tokens"] and found["text_offset"] == kept["text_offset"]
    assert found["token_logprobs"] == pytest.approx(kept["token_logprobs"], abs=5e-3)
    assert [len(one) for one in found["top_logprobs"]] == [len(one) for one in kept["top_logprobs"]]


def test_a_stream_says_what_the_whole_says(asks: dict[str, Ask], read_events: Any) -> None:
    for ask in asks.values():
        body = {"messages": chat("Count from 1 to 20."), "max_tokens": 70}
        whole = _lasting(ask("chat/completions", **body))
        answer = ask("chat/completions", stream=True, stream_options={"include_usage": True}, **body)
        events = list(read_events(iter(answer.text.splitlines())))
        text = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
        assert text == whole["choices"][0]["message"]["content"] and events[-1]["usage"] == whole["usage"]


def test_tokens(both: Any) -> None:
    for question in (*QUESTIONS, "<|im_start|>user <think>", "don't  1234 we'LL "):
        first, other = both("tokenize", prompt=question, return_token_strs=True)
        assert other == first
        first, other = both("detokenize", tokens=first["tokens"])
        assert other == first
    first, other = both("tokenize", messages=chat("Hello!"))
    assert other == first


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"animal": {"type": "string", "maxLength": 12}}, "required": ["animal"],
         "additionalProperties": False},
        {"enum": ["yes", "no"]},
    ],
    ids=["object", "enum"],
)  # fmt: skip
def test_an_answer_by_a_schema_is_one(asks: dict[str, Ask], schema: dict[str, Any]) -> None:
    wish = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    for ask in asks.values():
        answer = ask("chat/completions", messages=chat("Name an animal."), response_format=wish, max_tokens=60)
        if answer.status_code == 400 and answer.json()["error"]["code"] == "not_supported":
            continue  # an engine may refuse a form; it may never ignore it
        assert answer.status_code == 200, answer.text
        content = json.loads(answer.json()["choices"][0]["message"]["content"])
        assert content in schema["enum"] if "enum" in schema else set(content) == {"animal"}


@pytest.mark.parametrize(
    ("route", "fields"),
    [
        ("chat/completions", {"messages": chat("word " * 3000)}),
        ("completions", {"prompt": "word " * 3000}),
        ("completions", {"prompt": [5] * 1024}),
        ("completions", {"prompt": ""}),
        ("completions", {"prompt": []}),
        ("completions", {"prompt": [99999]}),
        ("completions", {"prompt": [-1]}),
        ("completions", {"prompt": "a", "max_tokens": 5000}),
        ("completions", {"prompt": "a", "logit_bias": {"99999": 1}}),
        ("chat/completions", {"messages": chat("hi"), "temperature": 5}),
        ("chat/completions", {"messages": chat("hi"), "lora_name": "none"}),
        ("chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
        ("detokenize", {"tokens": [99999]}),
    ],
    ids=str,
)  # fmt: skip
def test_errors(both: Any, route: str, fields: dict[str, Any]) -> None:
    first, other = both(route, **fields)
    for body in (first, other):
        assert body["detail"] == body["error"]["message"]
    kept, found = first["error"], other["error"]
    names = ("type", "param") if "lora_name" in fields else ("type", "code", "param")  # one of them has an adapter
    assert [found[name] for name in names] == [kept[name] for name in names]
