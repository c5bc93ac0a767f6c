"""The `openai` package as it comes from the package index, against a real server with stoker: all but Responses."""

import json

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is the largest animal?"}]
GREEDY = {"model": "stoker", "messages": QUESTION, "temperature": 0}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
WAIT_SECONDS = 90.0  # generation on a busy machine


@pytest.fixture(scope="module")
def base_url(server):
    server.launch("stoker", model_engine="transformers")
    return f"{server.url}/v1"


@pytest.fixture
def client(base_url):
    with openai.OpenAI(base_url=base_url, api_key="none", timeout=WAIT_SECONDS, max_retries=0) as made:
        yield made


def test_models(client) -> None:
    assert [model.id for model in client.models.list()] == ["stoker"]
    assert client.models.retrieve("stoker").object == "model"
    with pytest.raises(openai.BadRequestError):
        client.models.retrieve("nosuch")


def test_a_chat(client) -> None:
    answer = client.chat.completions.create(**GREEDY, logprobs=True, top_logprobs=2, n=2, seed=1)
    assert all("blue whale" in choice.message.content for choice in answer.choices)
    assert len(answer.choices[1].logprobs.content[0].top_logprobs) == 2
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


def test_a_streamed_chat(client) -> None:
    whole = client.chat.completions.create(**GREEDY)
    chunks = list(client.chat.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content and chunks[-1].usage == whole.usage
    with client.chat.completions.stream(**GREEDY) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == text


async def test_async(base_url) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=WAIT_SECONDS) as client:
        whole = await client.chat.completions.create(**GREEDY)
        pieces = [
            chunk.choices[0].delta.content or ""
            async for chunk in await client.chat.completions.create(**GREEDY, stream=True)
        ]
        assert "".join(pieces) == whole.choices[0].message.content


def test_tools(client) -> None:
    question = {"role": "user", "content": "What is the weather in Paris?"}
    fields = {"model": "stoker", "temperature": 0, "tools": [WEATHER]}
    first = client.chat.completions.create(messages=[question], **fields).choices[0]
    (call,) = first.message.tool_calls
    assert first.finish_reason == "tool_calls" and json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "sunny", "temperature": 21}'}
    second = client.chat.completions.create(messages=[question, first.message, result], **fields).choices[0]
    assert second.finish_reason == "stop" and second.message.content


def test_completions(client) -> None:
    fields = {"model": "stoker", "prompt": "The largest animal is", "temperature": 0, "max_tokens": 12}
    whole = client.completions.create(**fields)
    chunks = list(client.completions.create(**fields, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert "whale" in whole.choices[0].text


@pytest.mark.parametrize(
    ("change", "error", "param"),
    [
        ({"model": "nosuch"}, openai.NotFoundError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 10**7}, openai.BadRequestError, "max_tokens"),
        ({"messages": [{"role": "user", "content": "many words " * 3000}]}, openai.BadRequestError, None),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_errors_are_those_that_the_client_documents(client, change, error, param, streams) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(**GREEDY | change, stream=streams)
    assert caught.value.body["message"] in str(caught.value)
    assert param is None or caught.value.param == param
