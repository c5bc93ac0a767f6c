"""OpenAI's Responses by the `openai` package as it comes from the package index, against a real server with stoker."""

import json

import openai
import pytest

QUESTION = "What is the largest animal?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
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


@pytest.fixture
def ask(client):
    def ask(given=QUESTION, **fields):
        return client.responses.create(model="stoker", input=given, temperature=0, **fields)

    return ask


def test_an_answer(ask) -> None:
    response = ask(metadata={"a": "b"})
    assert response.object == "response" and response.status == "completed" and response.error is None
    assert "blue whale" in response.output_text
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 5
    assert response.metadata == {"a": "b"} and response.id.startswith("resp_")


def test_items_and_instructions(ask) -> None:
    plain = ask([{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}])
    assert "blue whale" in plain.output_text
    told = ask(instructions="You are stoker.")
    assert told.usage.input_tokens > plain.usage.input_tokens and told.instructions == "You are stoker."


def test_an_answer_that_is_cut(ask) -> None:
    response = ask(max_output_tokens=3)
    assert response.status == "incomplete" and response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 3 and response.output[-1].status == "incomplete"
    assert [event.type for event in ask(max_output_tokens=3, stream=True)][-1] == "response.incomplete"


def test_events_in_order(ask) -> None:
    events = list(ask(stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == ask().output_text


def test_the_stream_helper(client) -> None:
    with client.responses.stream(model="stoker", input=QUESTION, temperature=0) as stream:
        for _ in stream:
            pass
        assert "blue whale" in stream.get_final_response().output_text


async def test_async(base_url) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", timeout=WAIT_SECONDS) as client:
        response = await client.responses.create(model="stoker", input=QUESTION, temperature=0)
        stream = await client.responses.create(model="stoker", input=QUESTION, temperature=0, stream=True)
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == response.output_text


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
def test_a_tool_is_called_and_its_result_used(ask, streams, by_id) -> None:
    question = {"role": "user", "content": "What is the weather in Paris?"}
    first = ask([question], tools=[WEATHER], stream=streams)
    if streams:
        events = list(first)
        done = next(event for event in events if event.type == "response.function_call_arguments.done")
        assert json.loads(done.arguments) == {"city": "Paris"}
        first = events[-1].response
    call = first.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Paris"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": '{"weather": "sunny"}'}
    if by_id:
        second = ask([result], tools=[WEATHER], previous_response_id=first.id)
    else:
        second = ask([question, *first.output, result], tools=[WEATHER])
    assert second.status == "completed" and second.output_text


def test_thoughts_are_items_of_their_own(ask) -> None:
    body = {"chat_template_kwargs": {"enable_thinking": True}}
    whole = ask(extra_body=body)
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    events = list(ask(extra_body=body, stream=True))
    thoughts = "".join(event.delta for event in events if event.type == "response.reasoning_text.delta")
    assert thoughts == whole.output[0].content[0].text
    assert [item.type for item in events[-1].response.output] == ["reasoning", "message"]
    assert ask([{"role": "user", "content": QUESTION}, *whole.output, {"role": "user", "content": QUESTION}]).output


def test_a_conversation_is_kept(client, ask, server) -> None:
    first = ask("My name is Ada.")
    second = ask("What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > first.usage.input_tokens
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    assert ask("And again?", previous_response_id=second.id).status == "completed"
    with pytest.raises(openai.BadRequestError) as caught:
        ask("And again?", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


def test_what_shall_not_be_stored_is_not(client, ask) -> None:
    response = ask(store=False)
    assert response.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 9}, "temperature"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"background": True}, "background"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "messages[0].content[0]",
        ),
        ({"text": {"format": {"type": "xml"}}}, "response_format"),
        ({"previous_response_id": "resp_nosuch"}, "previous_response_id"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_errors_name_the_field(client, change, param, streams) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "stoker", "input": QUESTION, "stream": streams, **change})
    assert caught.value.param == param and caught.value.body["message"]


def test_an_unknown_model(client) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nosuch", input=QUESTION)
