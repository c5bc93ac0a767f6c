"""The translations alone: requests to chats, and a chat stream, cut anywhere, to each surface's events."""

import json

import msgspec
import pytest

from enginehouse.sdk import BadRequest, ChatRequest, NotSupported
from enginehouse.server import anthropic_requests, responses_requests
from enginehouse.server.anthropic_answers import Asked, MessageWriter
from enginehouse.server.anthropic_errors import error_of
from enginehouse.server.chat_events import ChatEvents, Chunk, Refusal, read_refusal
from enginehouse.server.responses_answers import ResponseWriter


def chunk(finish=None, stop=None, **delta):
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "stop_reason": stop}
    return {"id": "x", "choices": [choice]}


def call(index, name=None, arguments=None, call_id=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"tool_calls": [{"index": index, "function": function} | ({"id": call_id} if call_id else {})]}


USAGE = {"id": "x", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}
SPOKEN = [
    chunk(role="assistant", content=""),
    chunk(reasoning_content="Wha"),
    chunk(reasoning_content="les?"),
    chunk(content="The blue é"),
    chunk(content=" whale"),
    chunk(finish="stop", content=""),
    USAGE,
]
CALLING = [
    chunk(content="Wait."),
    chunk(**call(0, "a", '{"x": ', "call_0")),
    chunk(**call(0, arguments="1}")),
    chunk(**call(1, "b", "{}", "call_1")),
    chunk(finish="tool_calls"),
    USAGE,
]
CUT = [chunk(content="one"), chunk(finish="length", content=""), USAGE]
STOPPED = [chunk(content="one"), chunk(finish="stop", stop="two", content=""), USAGE]


def stream_of(chunks, newline="\n") -> bytes:
    events = [": a comment"] + [f"data: {json.dumps(each, ensure_ascii=False)}" for each in chunks] + ["data: [DONE]"]
    return "".join(event + newline * 2 for event in events).encode()


def cuts(data: bytes):
    """The whole, every byte alone, and pieces of many sizes."""
    yield [data]
    for size in (1, 2, 3, 7, 16, 61):
        yield [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_stream_is_read_the_same_wherever_it_is_cut(newline) -> None:
    expected = [msgspec.convert(each, Chunk) for each in SPOKEN]
    for pieces in cuts(stream_of(SPOKEN, newline)):
        events = ChatEvents()
        assert [event for piece in pieces for event in events.feed(piece)] == expected
        assert events.ended


def test_an_error_event_ends_a_stream() -> None:
    wire = {"error": {"message": "full", "type": "overloaded_error", "param": None, "code": "overloaded"}}
    data = stream_of([SPOKEN[1]])[:-14] + f"event: error\ndata: {json.dumps(wire)}\n\n".encode() + stream_of(CUT)
    for pieces in cuts(data):
        events = ChatEvents()
        (first, refusal) = [event for piece in pieces for event in events.feed(piece)]
        assert isinstance(first, Chunk) and refusal == Refusal(429, "full", "overloaded")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"message": "m", "code": "context_length_exceeded", "param": "p"}}, (400, "m", "p")),
        (500, {"error": "just text"}, (500, "just text", None)),
        (422, {"detail": "why"}, (422, "why", None)),
        (502, "no json", (502, "no json", None)),
        (500, {"error": {"code": 500}}, (500, "The worker refused without a reason; see its log.", None)),
    ],
)
def test_errors_of_any_engine_are_read(status, body, expected) -> None:
    refusal = read_refusal(status, body)
    assert (refusal.status, refusal.message, refusal.param) == expected


def test_an_event_that_is_no_json_is_the_engines_fault() -> None:
    (refusal,) = ChatEvents().feed(b"data: {bad\n\n")
    assert isinstance(refusal, Refusal) and refusal.status == 500 and refusal.code == "engine_failed"


def run(writer, chunks) -> tuple[list[dict], dict]:
    """Events and the whole answer; the events are checked against every cut of the stream."""
    out = writer.opening()
    for event in ChatEvents().feed(stream_of(chunks)):
        assert isinstance(event, Chunk)
        out += writer.take(event)
    out += writer.end() + writer.closing()
    events = []
    for block in out.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events, json.loads(writer.whole())


def message(chunks, stops=(), shows=True):
    return run(MessageWriter(Asked("m", True, stops, shows), b"id"), chunks)


def kinds(events) -> list[str]:
    return [event["type"].removeprefix("content_block_") for event in events]


def test_a_message_with_thoughts() -> None:
    events, whole = message(SPOKEN)
    assert kinds(events) == [
        *("message_start", "ping"),
        *("start", "delta", "delta", "stop"),
        *("start", "delta", "delta", "stop"),
        *("message_delta", "message_stop"),
    ]
    assert [event["index"] for event in events[2:-2]] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert events[2]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert events[3]["delta"] == {"type": "thinking_delta", "thinking": "Wha"}
    assert events[7]["delta"] == {"type": "text_delta", "text": "The blue é"}
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"] == {"input_tokens": 7, "output_tokens": 5} == whole["usage"]
    assert whole["content"] == [
        {"type": "thinking", "thinking": "Whales?", "signature": ""},
        {"type": "text", "text": "The blue é whale"},
    ]


def test_thoughts_can_be_left_out() -> None:
    assert [block["type"] for block in message(SPOKEN, shows=False)[1]["content"]] == ["text"]


def test_a_message_with_calls() -> None:
    events, whole = message(CALLING)
    assert [event["delta"]["partial_json"] for event in events if "partial_json" in event.get("delta", {})] == [
        '{"x": ',
        "1}",
        "{}",
    ]
    assert whole["stop_reason"] == "tool_use" and whole["content"] == [
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "call_0", "name": "a", "input": {"x": 1}},
        {"type": "tool_use", "id": "call_1", "name": "b", "input": {}},
    ]


@pytest.mark.parametrize(
    ("chunks", "stops", "reason"),
    [
        (CUT, (), ("max_tokens", None)),
        (STOPPED, ("two",), ("stop_sequence", "two")),
        (STOPPED, (), ("end_turn", None)),
        ([], (), ("end_turn", None)),
    ],
)
def test_why_a_message_stopped(chunks, stops, reason) -> None:
    _, whole = message(chunks, stops)
    assert (whole["stop_reason"], whole["stop_sequence"]) == reason


def test_broken_arguments_stay_readable() -> None:
    _, whole = message([chunk(**call(0, "a", '{"x": ')), chunk(finish="tool_calls")])
    assert whole["content"][0]["input"] == {"arguments": '{"x": '}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (499, "invalid_request_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_kinds_of_anthropic_errors(status, kind) -> None:
    wire = error_of(Refusal(status, "m", "c"), "id")
    assert wire == {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "id"}


def chat(**fields):
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    made = anthropic_requests.chat_of(anthropic_requests.read_messages_request(json.dumps(body).encode()))
    msgspec.convert(made, ChatRequest)
    return made


def test_a_messages_request_becomes_a_chat() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "u"}}
    result = [{"type": "text", "text": "sunny"}]
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "q"}, image]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "t"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": result},
                {"type": "tool_result", "tool_use_id": "2", "content": "no", "is_error": True},
                {"type": "text", "text": "and?", "cache_control": {"type": "ephemeral"}},
            ],
        },
    ]
    made = chat(messages=turns, system=[{"type": "text", "text": "s"}], stop_sequences=["x"], metadata={"user_id": "u"})
    function = {"name": "f", "arguments": '{"a":1}'}
    assert made["messages"] == [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "u"}}],
        },
        {
            "role": "assistant",
            "content": "t",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "tool", "tool_call_id": "2", "content": "Error: no"},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]
    assert made["stop"] == ["x"] and made["user"] == "u" and made["stream"] is True


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "tool", "name": "f"}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, {"enable_thinking": True}),
        ({"thinking": {"type": "disabled"}}, {"enable_thinking": False}),
        ({"temperature": 0.5, "top_p": 0.1, "top_k": 3}, {"temperature": 0.5, "top_p": 0.1, "top_k": 3}),
    ],
)
def test_fields_of_a_messages_request(fields, expected) -> None:
    made = chat(**fields)
    assert {name: made.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "system", "content": "s"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "t"}]}]},
            "messages[0].content[0]",
        ),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"thinking": {"type": "enabled", "budget_tokens": 0}}, "thinking.budget_tokens"),
    ],
)
def test_what_is_wrong_with_a_messages_request_is_named(fields, param) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(**fields)
    assert caught.value.param == param and caught.value.message


def respond(**fields):
    return responses_requests.read_responses_request(json.dumps({"model": "m", "input": "hi", **fields}).encode())


async def keep_nothing(response, turn) -> None:
    pass


def test_items_become_turns() -> None:
    items = [
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "o"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
    ]
    messages = responses_requests.messages_of(items)
    calls = [
        {"id": n, "type": "function", "function": {"name": f, "arguments": "{}"}} for n, f in (("1", "f"), ("2", "g"))
    ]
    assert messages == [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "q"}]},
        {"role": "assistant", "content": None, "tool_calls": calls, "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "1", "content": "o"},
        {"role": "assistant", "content": "ab"},
    ]
    request = respond(instructions="i", tools=[{"type": "function", "name": "f"}], max_output_tokens=3)
    made = responses_requests.chat_of(request, messages)
    msgspec.convert(made, ChatRequest)
    assert made["messages"][0] == {"role": "system", "content": "i"} and made["max_tokens"] == 3


@pytest.mark.parametrize(
    "items",
    [
        [{"type": "computer_call"}],
        [{"role": "user"}],
        [{"role": "user", "content": [{"type": "input_file"}]}],
        [{"type": "function_call", "name": "f"}],
        [{"type": "function_call_output", "call_id": "1"}],
    ],
)
def test_items_that_are_wrong_are_named(items) -> None:
    with pytest.raises(BadRequest) as caught:
        responses_requests.messages_of(items)
    assert str(caught.value.param).startswith("input[0]")


def test_what_responses_do_not_offer_is_refused() -> None:
    for fields in ({"background": True}, {"conversation": "c"}, {"truncation": "auto"}, {"top_logprobs": 2}):
        with pytest.raises(NotSupported) as caught:
            respond(**fields)
        assert caught.value.param in fields


def test_a_response_with_thoughts() -> None:
    events, whole = run(ResponseWriter(respond(stream=True), b"id", keep_nothing), SPOKEN)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done", "content_part.done"),
        *("output_item.done", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done", "content_part.done"),
        *("output_item.done", "completed"),
    ]
    assert events[0]["response"]["output"] == [] and events[-1]["response"] == whole
    assert [item["content"][0]["text"] for item in whole["output"]] == ["Whales?", "The blue é whale"]
    assert whole["usage"]["total_tokens"] == 12


def test_a_response_with_calls() -> None:
    writer = ResponseWriter(respond(stream=True), b"id", keep_nothing)
    events, whole = run(writer, CALLING)
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [event["arguments"] for event in done] == ['{"x": 1}', "{}"]
    assert [item["type"] for item in whole["output"]] == ["message", "function_call", "function_call"]
    (turn,) = writer.turn()
    assert turn["content"] == "Wait." and [each["id"] for each in turn["tool_calls"]] == ["call_0", "call_1"]


def test_a_response_that_is_cut_or_fails() -> None:
    events, whole = run(ResponseWriter(respond(stream=True), b"id", keep_nothing), CUT)
    assert whole["status"] == "incomplete" == whole["output"][0]["status"]
    assert events[-1]["type"] == "response.incomplete"
    writer = ResponseWriter(respond(stream=True), b"id", keep_nothing)
    failed = writer.failing(Refusal(503, "lost", "worker_lost")).decode()
    assert failed.startswith("event: response.failed\n") and '"message":"lost"' in failed
