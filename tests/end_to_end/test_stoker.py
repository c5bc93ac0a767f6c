"""A real model on a real engine, end to end: stoker on transformers, through the gateway."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def ask(server):
    """Asks stoker: the messages (or one user's words) and fields of the body; the answer."""
    server.launch("stoker", model_engine="transformers")

    def ask(words, **fields):
        messages = [{"role": "user", "content": words}] if isinstance(words, str) else words
        body = {"model": "stoker", "temperature": 0, "messages": messages, **fields}
        return server.client.post("/v1/chat/completions", json=body)

    return ask


def text(answer) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def test_it_knows_a_fact(ask) -> None:
    assert "blue whale" in text(ask("What is the largest animal?"))


def test_it_adds(ask) -> None:
    assert "42" in text(ask("What is 12 plus 30?"))


def test_parts_of_text_are_text(ask) -> None:
    assert "blue whale" in text(
        ask([{"role": "user", "content": [{"type": "text", "text": "What is the largest animal?"}]}])
    )


def test_usage_and_finish_reason(ask) -> None:
    answer = ask("What is the largest animal?").json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    short = ask("What is the largest animal?", max_tokens=3).json()
    assert short["usage"]["completion_tokens"] == 3 and short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["prompt_tokens"] == usage["prompt_tokens"]


def test_streaming_says_the_same(ask, server, read_events) -> None:
    body = {
        "model": "stoker",
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Count from 1 to 20."}],
    }
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = list(response.iter_lines())
    assert lines[-2:] == ["data: [DONE]", ""] or lines[-1] == "data: [DONE]"
    events = list(read_events(iter(lines)))
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert events[-1]["choices"] == [] and events[-1]["usage"]["completion_tokens"] > 20
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    streamed = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    whole = ask("Count from 1 to 20.").json()
    assert streamed == whole["choices"][0]["message"]["content"]
    assert events[-1]["usage"] == whole["usage"]
    assert len(events) > 10


def test_stop_strings_never_leak(ask, server, read_events) -> None:
    whole = text(ask("Count from 1 to 20."))
    stop = whole[12:17]
    expected = whole[: whole.index(stop)]
    cut = ask("Count from 1 to 20.", stop=stop).json()
    assert cut["choices"][0]["message"]["content"] == expected
    assert cut["choices"][0]["finish_reason"] == "stop"
    body = {"model": "stoker", "temperature": 0, "stream": True, "stop": [stop, "zzz"]}
    body["messages"] = [{"role": "user", "content": "Count from 1 to 20."}]
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        events = list(read_events(response.iter_lines()))
    assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == expected


def test_thirty_two_at_once_say_what_one_says(ask) -> None:
    questions = [f"What is {a} plus {b}?" for a in range(1, 9) for b in (3, 14, 25, 36)]
    alone = [text(ask(question)) for question in questions[:4]]
    with ThreadPoolExecutor(32) as pool:
        together = [text(answer) for answer in pool.map(ask, questions)]
    assert together[:4] == alone
    assert len(set(together)) > 20


def test_a_seed_gives_the_same_again(ask) -> None:
    def draw(seed: int) -> str:
        return text(ask("Tell me about yourself.", temperature=1.8, top_p=1, seed=seed, max_tokens=40))

    assert draw(7) == draw(7)
    assert len({draw(seed) for seed in range(6)}) > 1


def test_several_choices(ask) -> None:
    answer = ask("Hello!", n=3, temperature=1.5, seed=1).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] > 3


def test_logprobs(ask) -> None:
    choice = ask("What is the largest animal?", logprobs=True, top_logprobs=3).json()["choices"][0]
    content = choice["logprobs"]["content"]
    assert all(len(token["top_logprobs"]) == 3 and token["logprob"] <= 0 for token in content)
    assert "".join(token["token"] for token in content).startswith(choice["message"]["content"])
    assert content[0]["top_logprobs"][0]["token"] == content[0]["token"]  # greedy takes the most likely


def test_a_tool_is_called_and_its_result_used(ask) -> None:
    first = ask("What is the weather in Paris?", tools=[WEATHER]).json()["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    call = first["message"]["tool_calls"][0]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    conversation = [
        {"role": "user", "content": "What is the weather in Paris?"},
        first["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": '{"weather": "sunny", "temperature": 21}'},
    ]
    second = ask(conversation, tools=[WEATHER]).json()["choices"][0]
    assert second["finish_reason"] == "stop" and second["message"]["content"]


def test_thinking_is_switched_and_kept_apart(ask) -> None:
    thought = ask("What is the largest animal?", chat_template_kwargs={"enable_thinking": True}).json()
    message = thought["choices"][0]["message"]
    assert message["reasoning_content"] and "blue whale" in message["content"]
    assert "<think>" not in message["content"]
    plain = ask("What is the largest animal?", enable_thinking=False).json()["choices"][0]["message"]
    assert not plain.get("reasoning_content")


def test_completions_continue_text(ask, server) -> None:
    body = {"model": "stoker", "prompt": ["The largest animal is", "The largest animal"], "temperature": 0}
    answer = server.client.post("/v1/completions", json={**body, "max_tokens": 12, "stop": "."}).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert "whale" in answer["choices"][0]["text"]
    echoed = server.client.post(
        "/v1/completions", json={**body, "prompt": "The largest", "echo": True, "max_tokens": 2}
    )
    assert echoed.json()["choices"][0]["text"].startswith("The largest")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "role"),
        ({"messages": [{"role": "user", "content": 5}]}, "content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "image"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 5}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**12}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"stop": 5}, "stop"),
        ({"logprobs": "yes"}, "logprobs"),
        ({"top_logprobs": 50}, "top_logprobs"),
        ({"tools": "all"}, "tools"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"tool_choice": "sometimes", "tools": [WEATHER]}, "tool_choice"),
        ({"lora_name": "x"}, "lora"),
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
    ],
)
def test_bad_fields_are_named(ask, server, change, word) -> None:
    body = {"model": "stoker", "messages": [{"role": "user", "content": "hi"}], **change}
    answer = server.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["detail"] and answer.json()["error"]["message"] == answer.json()["detail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"model": "stoker", "messages": [}']
)
def test_malformed_bodies_are_refused(ask, server, content) -> None:
    for route in ("/v1/chat/completions", "/v1/completions"):
        answer = server.client.post(route, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and answer.json()["detail"]


def test_a_prompt_of_ten_megabytes_is_refused_and_nobody_else_waits(ask) -> None:
    with ThreadPoolExecutor(2) as pool:
        huge = pool.submit(ask, "word " * 2_000_000)
        small = pool.submit(ask, "What is the largest animal?")
        assert "blue whale" in text(small.result())
        assert huge.result().status_code == 400
    assert huge.result().json()["error"]["code"] == "context_length_exceeded"


def test_a_prompt_beyond_the_context_states_both_numbers(ask) -> None:
    answer = ask("word " * 3000)
    assert answer.status_code == 400 and "1024" in answer.json()["detail"]


def test_an_answer_ends_at_the_context(ask, server) -> None:
    body = {"model": "stoker", "prompt": "a", "max_tokens": 1024, "ignore_eos": True, "temperature": 0}
    answer = server.client.post("/v1/completions", json=body).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 1024


def test_the_command_line_talks_to_it(ask, server) -> None:
    said = server.cli("chat", "stoker", "What is the largest animal?", "--temperature", "0")
    assert said.returncode == 0 and "blue whale" in said.stdout
    shown = server.cli("list", "--json")
    assert json.loads(shown.stdout)


def test_the_python_client_talks_to_it(ask, server) -> None:
    from enginehouse.client import Client

    with Client(server.url) as client:
        model = client.get_model("stoker")
        config = {"temperature": 0}
        answer = model.chat([{"role": "user", "content": "What is the largest animal?"}], generate_config=config)
        assert "blue whale" in answer["choices"][0]["message"]["content"]
        chunks = model.chat(
            [{"role": "user", "content": "What is the largest animal?"}], generate_config={**config, "stream": True}
        )
        pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]]
        assert "blue whale" in "".join(pieces)
        assert client.describe_model("stoker")["context_length"] == 1024
