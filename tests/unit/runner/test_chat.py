"""Chat over the worker's socket, in OpenAI's shapes."""

import json

import msgspec
import pytest

from enginehouse.sdk import ChatChunk, ChatCompletion

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


@pytest.fixture(scope="module")
def echo(start):
    abilities = ("chat", "generate", "tools", "reasoning")
    parsers = {
        "tool_parser": "enginehouse.builtin.parsers.hermes:HermesParser",
        "reasoning_parser": "enginehouse.builtin.parsers.think:ThinkParser",
    }
    return start({"abilities": abilities, **parsers}, echo=True).ready()


def content(pieces, index=0) -> str:
    deltas = [c["delta"] for piece in pieces for c in piece["choices"] if c["index"] == index]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_a_whole_answer(plain) -> None:
    answer = plain.chat(max_tokens=3)
    completion = msgspec.json.decode(answer.content, type=ChatCompletion)
    assert completion.id.startswith("chatcmpl-") and completion.model == "m" and completion.created > 0
    choice = answer.json()["choices"][0]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "word0 word1 word2 "},
        "logprobs": None,
        "finish_reason": "length",
        "stop_reason": None,
    }
    assert answer.json()["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


def test_a_stream(plain, events) -> None:
    answer = plain.chat(max_tokens=3, stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    pieces = events(answer.text)
    for piece in pieces:
        msgspec.convert(piece, ChatChunk)
        assert "usage" not in piece and piece["object"] == "chat.completion.chunk"
    assert pieces[0]["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ]
    assert pieces[-1]["choices"][0]["delta"] == {"content": ""}
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None] * 4 + ["length"]
    assert content(pieces) == "word0 word1 word2 "
    assert len({piece["id"] for piece in pieces}) == 1


def test_include_usage_adds_one_chunk(plain, events) -> None:
    pieces = events(plain.chat(max_tokens=2, stream=True, stream_options={"include_usage": True}).text)
    assert pieces[-1]["choices"] == []
    assert pieces[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert all(piece["usage"] is None for piece in pieces[:-1])


def test_several_choices_have_seeds_of_their_own(plain, events) -> None:
    whole = plain.chat(n=3, seed=7, max_tokens=2).json()
    assert [choice["message"]["content"] for choice in whole["choices"]] == [
        f"seed{seed}-0 seed{seed}-1 " for seed in (7, 8, 9)
    ]
    assert whole["usage"] == {"prompt_tokens": 2, "completion_tokens": 6, "total_tokens": 8}
    pieces = events(plain.chat(n=2, seed=7, max_tokens=2, stream=True).text)
    assert [content(pieces, index) for index in (0, 1)] == ["seed7-0 seed7-1 ", "seed8-0 seed8-1 "]
    roles = [c["index"] for piece in pieces for c in piece["choices"] if "role" in c["delta"]]
    assert roles == [0, 1]


def test_choices_are_interleaved(start, events) -> None:
    slow = start(token_seconds=0.01, tokens=5).ready()
    pieces = events(slow.chat(n=2, stream=True).text)
    order = [c["index"] for piece in pieces for c in piece["choices"]]
    assert order != sorted(order)


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings_cut_and_never_leak(echo, events, stream) -> None:
    for stop, expected in [("END", "one "), (["three", "wo EN"], "one t"), ("absent", "one two END three")]:
        sent = "one two END three" if "wo EN" in stop or stop == "absent" else "one END three"
        answer = echo.chat(sent, stop=stop, stream=stream)
        text = content(events(answer.text)) if stream else answer.json()["choices"][0]["message"]["content"]
        assert text == expected
        reason = events(answer.text)[-1]["choices"][0] if stream else answer.json()["choices"][0]
        assert reason["finish_reason"] == "stop"


def test_the_models_own_stops_hold_too(start) -> None:
    runner = start({"stop": ("<end>",)}, text="a b <end> c").ready()
    assert runner.chat().json()["choices"][0]["message"]["content"] == "a b "
    assert runner.chat().json()["usage"]["completion_tokens"] == 3


def test_logprobs(plain, events) -> None:
    choice = plain.chat(max_tokens=2, logprobs=True, top_logprobs=2).json()["choices"][0]
    first = choice["logprobs"]["content"][0]
    assert (first["token"], first["logprob"], bytes(first["bytes"])) == ("word0 ", -0.5, b"word0 ")
    assert [top["token"] for top in first["top_logprobs"]] == ["word0 ", "word0 1"]
    assert len(choice["logprobs"]["content"]) == 2
    pieces = events(plain.chat(max_tokens=2, logprobs=True, stream=True).text)
    told = [c["logprobs"]["content"] for piece in pieces for c in piece["choices"] if c["logprobs"]]
    assert [entry["token"] for entries in told for entry in entries] == ["word0 ", "word1 "]
    assert plain.chat(top_logprobs=2).status_code == 400


def test_what_the_engine_is_asked(plain) -> None:
    seen = plain.seen(
        temperature=0.5,
        top_p=0,
        top_k=-1,
        min_p=0.1,
        seed=3,
        max_tokens=7,
        max_completion_tokens=5,
        repetition_penalty=1.1,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logit_bias={"5": 1},
        stop=["\x01", "\x02"],
        stop_token_ids=[9],
        ignore_eos=True,
        response_format={"type": "text"},
    )
    assert seen["sampling"] == {
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 1e-6,
        "top_k": 0,
        "min_p": 0.1,
        "seed": 3,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logprobs": None,
        "logit_bias": {"5": 1.0},
        "stop_token_ids": [9],
        "ignore_eos": True,
    }
    assert seen["stop"] == ["\x01", "\x02"] and seen["special_tokens"] is True
    assert seen["prompt"] == "<|user|>request\n<|assistant|>"


def test_a_conversation_reaches_the_template(plain) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    messages = [
        {"role": "developer", "content": "rule"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
        {"role": "user", "content": [{"type": "text", "text": "request"}]},
    ]
    prompt = plain.seen(messages=messages, chat_template_kwargs='{"x": 1}')["prompt"]
    assert prompt.startswith('<|options|>{"x":1}\n<|system|>rule\n<|assistant|>')
    assert '"arguments":"{\\"x\\":1}"' in prompt and "<|tool|>3" in prompt


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls(echo, events, stream) -> None:
    answer = echo.chat(f"Let me. {CALL}\n{CALL}", tools=[TOOL], stream=stream)
    if stream:
        pieces = events(answer.text)
        assert content(pieces) == "Let me."
        calls = [call for piece in pieces for call in piece["choices"][0]["delta"].get("tool_calls", [])]
        assert [call.pop("index") for call in calls] == [0, 1]
        reason = pieces[-1]["choices"][0]["finish_reason"]
    else:
        message = answer.json()["choices"][0]["message"]
        assert message["content"] == "Let me."
        calls, reason = message["tool_calls"], answer.json()["choices"][0]["finish_reason"]
    assert reason == "tool_calls"
    assert len({call["id"] for call in calls}) == 2
    for call in calls:
        assert call.pop("id").startswith("call_")
        assert call == {"type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


def test_a_call_without_arguments_says_so_on_the_wire(echo) -> None:
    answer = echo.chat('<tool_call>{"name": "now"}</tool_call>', tools=[TOOL]).json()
    message = answer["choices"][0]["message"]
    assert message["content"] is None and message["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}


def test_one_call_at_most_when_parallel_calls_are_not_wanted(echo) -> None:
    answer = echo.chat(CALL + CALL, tools=[TOOL], parallel_tool_calls=False).json()
    assert len(answer["choices"][0]["message"]["tool_calls"]) == 1


def test_without_tools_a_call_is_text(echo) -> None:
    for fields in ({}, {"tools": [TOOL], "tool_choice": "none"}, {"tools": []}):
        choice = echo.chat(CALL, **fields).json()["choices"][0]
        assert choice["message"]["content"] == CALL and choice["finish_reason"] == "stop"


def test_tools_are_shown_unless_the_choice_is_none(echo) -> None:
    assert '<|tools|>[{"function":' in echo.seen(tools=[TOOL])["prompt"]
    assert '<|tools|>[{"function":' in echo.seen(tools=[TOOL], tool_choice="auto")["prompt"]
    assert "<|tools|>" not in echo.seen(tools=[TOOL], tool_choice="none")["prompt"]


def test_reasoning_has_its_own_field(echo, events) -> None:
    text = "<think>\nhm, hm\n</think>\n\nyes"
    message = echo.chat(text).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "yes", "reasoning_content": "hm, hm"}
    pieces = events(echo.chat(text, stream=True).text)
    assert content(pieces) == "yes"
    assert "".join(piece["choices"][0]["delta"].get("reasoning_content", "") for piece in pieces) == "hm, hm"


def test_a_template_may_open_the_reasoning(start) -> None:
    parser = {"reasoning_parser": "enginehouse.builtin.parsers.think:ThinkParser"}
    runner = start(parser, text="hm\n</think>\nyes", opens_thinking=True).ready()
    message = runner.chat().json()["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("yes", "hm")
    message = runner.chat(enable_thinking=False).json()["choices"][0]["message"]
    assert message["content"] == "hm\n</think>\nyes"


def test_a_parser_that_cannot_be_imported_leaves_plain_text(start) -> None:
    runner = start({"reasoning_parser": "no_such_module:Parser"}, echo=True).ready()
    assert runner.chat("<think>x</think>y").json()["choices"][0]["message"]["content"] == "<think>x</think>y"
    assert "cannot be imported" in runner.log()


def test_a_request_keeps_its_id(plain) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "request_id": "from-body"}
    named = plain.client.post("/v1/chat/completions", json=body, headers={"X-Request-Id": "from-header"})
    assert named.headers["x-request-id"] == "from-header"
    assert plain.chat(request_id="from-body").headers["x-request-id"] == "from-body"
    assert plain.chat(request_id="bad\nid").headers["x-request-id"] != "bad\nid"
    refused = plain.chat(temperature=9, request_id="x")
    assert refused.status_code == 400 and refused.headers["x-request-id"]
    refused = plain.chat(messages=[], request_id="refused-one")
    assert refused.headers["x-request-id"] == "refused-one"
    assert "refused-one" in plain.log()


def test_answers_are_valid_json_whatever_the_text(echo, events) -> None:
    text = 'quote " backslash \\ newline \n snow ☃ \U0001f600 \u2028 end'
    assert echo.chat(text).json()["choices"][0]["message"]["content"] == text
    assert content(events(echo.chat(text, stream=True).text)) == text
    assert json.loads(echo.seen()["prompt"] and "1") == 1
