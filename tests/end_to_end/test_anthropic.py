"""The `anthropic` package as it comes from the package index, against a real server with stoker."""

import json

import anthropic
import httpx
import pytest

QUESTION = [{"role": "user", "content": "What is the largest animal?"}]
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
GREEDY = {"temperature": 0}  # this version of the package names it no more, but sends what is given beside
DEFAULT = {"model": "stoker", "max_tokens": 64, "messages": QUESTION, "extra_body": GREEDY}
WAIT_SECONDS = 90.0  # generation on a busy machine


@pytest.fixture(scope="module", params=["", "/anthropic"])
def base_url(server, request):
    if "stoker" not in server.client.get("/v1/models").text:
        server.launch("stoker", model_engine="transformers")
    return server.url + request.param


@pytest.fixture
def client(base_url):
    with anthropic.Anthropic(base_url=base_url, api_key="none", timeout=WAIT_SECONDS, max_retries=0) as made:
        yield made


@pytest.fixture
def ask(client):
    def ask(**fields):
        return client.messages.create(**{**DEFAULT, **fields})

    return ask


def test_an_answer(ask) -> None:
    message = ask()
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_")
    assert "blue whale" in message.content[0].text
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens > 5 and message.usage.output_tokens > 3
    assert message._request_id


def test_system_and_blocks(ask) -> None:
    blocks = [{"role": "user", "content": [{"type": "text", "text": "What is the largest animal?"}]}]
    plain = ask(messages=blocks)
    assert "blue whale" in plain.content[0].text
    system = ask(system=[{"type": "text", "text": "You are stoker."}])
    assert system.usage.input_tokens > plain.usage.input_tokens
    assert ask(system="You are stoker.").usage.input_tokens == system.usage.input_tokens


def test_why_it_stopped(ask) -> None:
    short = ask(max_tokens=3)
    assert short.stop_reason == "max_tokens" and short.usage.output_tokens == 3
    cut = ask(stop_sequences=["zzz", "whale"])
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "whale")
    assert "blue" in cut.content[0].text and "whale" not in cut.content[0].text


def test_the_stream_helper(client, ask) -> None:
    with client.messages.stream(**DEFAULT) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    whole = ask()
    assert text == final.content[0].text == whole.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens


def test_raw_events_in_order(ask) -> None:
    kinds = [event.type for event in ask(stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.index("content_block_start") < kinds.index("content_block_delta") < kinds.index("content_block_stop")
    assert kinds.count("content_block_delta") > 2


async def test_async(base_url) -> None:
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="none", timeout=WAIT_SECONDS) as client:
        message = await client.messages.create(**DEFAULT)
        async with client.messages.stream(**DEFAULT) as stream:
            assert "".join([text async for text in stream.text_stream]) == message.content[0].text


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_is_called_and_its_result_used(client, ask, streams) -> None:
    question = {"role": "user", "content": "What is the weather in Paris?"}
    fields = {"messages": [question], "max_tokens": 128, "tools": [WEATHER], "tool_choice": {"type": "auto"}}
    if streams:
        with client.messages.stream(**DEFAULT | fields) as stream:
            first = stream.get_final_message()
    else:
        first = ask(**fields)
    assert first.stop_reason == "tool_use"
    call = first.content[-1]
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"weather": "sunny", "temperature": 21}'}
    turns = [question, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(**fields | {"messages": turns})
    assert second.stop_reason == "end_turn" and second.content[0].text


def test_no_tools_when_none_are_wanted(ask) -> None:
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = ask(messages=question, tools=[WEATHER], tool_choice={"type": "none"})
    assert answer.stop_reason != "tool_use"


def test_thinking_is_a_block_of_its_own(client, ask) -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 128}, "max_tokens": 256}
    whole = ask(**fields)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[0].thinking and "blue whale" in whole.content[1].text
    with client.messages.stream(**DEFAULT | fields) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].thinking == whole.content[0].thinking
    again = [*QUESTION, {"role": "assistant", "content": whole.content}, *QUESTION]
    assert ask(messages=again).content
    assert [block.type for block in ask(thinking={"type": "disabled"}).content] == ["text"]


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


@pytest.mark.parametrize(
    ("change", "status", "kind", "word"),
    [
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
        ({"max_tokens": 10_000_000}, 400, "invalid_request_error", "max_tokens"),
        ({"messages": []}, 400, "invalid_request_error", "messages"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, 400, "invalid_request_error", "vision"),
        ({"extra_body": {"temperature": 9}}, 400, "invalid_request_error", "temperature"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "invalid_request_error", "tools[0]"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, 400, "invalid_request_error", "choice"),
        ({"model": "nosuch"}, 404, "not_found_error", "nosuch"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_errors_are_what_the_client_documents(ask, change, status, kind, word, streams) -> None:
    expected = anthropic.NotFoundError if status == 404 else anthropic.BadRequestError
    with pytest.raises(expected) as caught:
        ask(stream=streams, **change)
    body = caught.value.body
    assert body["type"] == "error" and body["error"]["type"] == kind and word in body["error"]["message"]
    assert caught.value.status_code == status
    assert body["request_id"] == caught.value.request_id


def test_tokens_are_counted_as_they_will_be_charged(client, ask) -> None:
    for fields in ({}, {"system": "You are stoker."}, {"tools": [WEATHER]}):
        counted = client.messages.count_tokens(model="stoker", messages=QUESTION, **fields)
        assert counted.input_tokens == ask(**fields).usage.input_tokens
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nosuch", messages=QUESTION)


def test_models(base_url) -> None:
    if not base_url.endswith("/anthropic"):
        return
    with anthropic.Anthropic(base_url=base_url, api_key="none") as client:
        assert [model.id for model in client.models.list()] == ["stoker"]
        assert client.models.retrieve("stoker").type == "model"
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.models.retrieve("nosuch")
        assert caught.value.body["error"]["type"] == "not_found_error"


def test_any_version_or_none_is_taken(base_url) -> None:
    body = {"model": "stoker", "max_tokens": 4, "messages": QUESTION}
    for headers in ({}, {"anthropic-version": "2023-06-01"}, {"anthropic-version": "2099-01-01"}):
        answer = httpx.post(f"{base_url}/v1/messages", json=body, headers=headers, timeout=WAIT_SECONDS)
        assert answer.status_code == 200 and answer.headers["request-id"]
    wrong = httpx.post(f"{base_url}/v1/messages", content=b"{bad")
    assert wrong.status_code == 400 and json.loads(wrong.text)["error"]["type"] == "invalid_request_error"
    assert httpx.get(f"{base_url}/v1/messages").json()["type"] == "error"
