"""Pure parts: choices of text, parser chains, decoding, events, metrics, failures."""

import json

import msgspec
import pytest

from enginehouse.builtin.parsers.hermes import HermesParser
from enginehouse.builtin.parsers.think import ThinkParser
from enginehouse.runner.conversation import conversation_of, template_options_of
from enginehouse.runner.decoding import decode_request
from enginehouse.runner.hosting import failure_of
from enginehouse.runner.metrics import Metrics
from enginehouse.runner.parsing import ParserChain
from enginehouse.runner.sse import error_event, event
from enginehouse.runner.text import TextChoice, requests_of, sampling_of, stops_of
from enginehouse.sdk import (
    BadRequest,
    ChatRequest,
    EngineFailed,
    GenerateRequest,
    Message,
    Piece,
    ReasoningPart,
    Sampling,
    TextPart,
    TokenLogprob,
    ToolCallPart,
)


class Breaks:
    """A parser that holds two characters back and raises at an exclamation mark."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text):
        if "!" in text:
            raise ValueError("cannot stand this")
        text = self._held + text
        self._held = text[-2:]
        return [TextPart(text[:-2])]

    def finish(self):
        return [TextPart(self._held)]


def join(parts) -> str:
    return "".join(part.text for part in parts)


def test_a_parser_that_raises_is_dropped_and_no_text_is_lost(caplog) -> None:
    chain = ParserChain([Breaks()])
    out = [*chain.feed("hello"), *chain.feed(" world!"), *chain.feed(" and!"), *chain.finish()]
    assert join(out) == "hello world! and!"
    assert "stays plain text" in caplog.text


def test_a_chain_looks_for_calls_in_what_reasoning_left() -> None:
    chain = ParserChain([ThinkParser(), HermesParser()])
    call = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    text = f"<think>shall I {call}?</think>\n{call}"
    parts = [part for letter in text for part in chain.feed(letter)] + chain.finish()
    thoughts = join(part for part in parts if isinstance(part, ReasoningPart))
    assert thoughts == f"shall I {call}?"
    assert [part for part in parts if isinstance(part, ToolCallPart)] == [ToolCallPart("f", "{}")]


def test_a_chain_passes_held_back_text_through_later_parsers() -> None:
    chain = ParserChain([ThinkParser(), HermesParser()])
    assert join([*chain.feed("<thi"), *chain.finish()]) == "<thi"


def token(text: str) -> TokenLogprob:
    return TokenLogprob(1, text, -1.0)


def test_logprobs_leave_with_their_text_and_those_of_a_stop_never() -> None:
    choice = TextChoice(("END",), logprobs=True)
    first = choice.take(Piece(text="a", tokens=1, logprobs=(token("a"),), prompt_tokens=3))
    held = choice.take(Piece(text="E", tokens=1, logprobs=(token("E"),)))
    back = choice.take(Piece(text="x", tokens=1, logprobs=(token("x"),)))
    assert [first, held] == [("a", (token("a"),)), ("", ())]
    assert back == ("Ex", (token("E"), token("x")))
    choice.take(Piece(text="E", tokens=1, logprobs=(token("E"),)))
    assert choice.take(Piece(text="ND", tokens=1, logprobs=(token("ND"),))) == ("", ())
    assert (choice.finish_reason, choice.tokens, choice.prompt_tokens) == ("stop", 5, 3)


def test_held_text_comes_out_at_the_end() -> None:
    choice = TextChoice(("END",))
    assert choice.take(Piece(text="xEN", tokens=1))[0] == "x"
    assert choice.take(Piece(text="", finish_reason="length"))[0] == "EN"
    assert choice.finish_reason == "length"
    unsaid = TextChoice(("END",))
    unsaid.take(Piece(text="E"))
    assert (unsaid.end(), unsaid.finish_reason) == ("E", "stop")


def test_what_is_no_piece_is_the_engines_failure() -> None:
    with pytest.raises(EngineFailed, match="yielded str"):
        TextChoice(()).take("text")


def chat(**fields) -> ChatRequest:
    return msgspec.convert({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}, ChatRequest)


def test_sampling_takes_the_models_defaults_and_the_requests_fields() -> None:
    default = Sampling(temperature=0.7, top_k=40)
    assert sampling_of(chat(), default) is default
    made = sampling_of(chat(top_p=0, top_k=-1, min_p=1, logit_bias={"5": -1}, seed=3), default, max_tokens=9)
    assert (made.temperature, made.top_p, made.top_k, made.max_tokens) == (0.7, 1e-6, 0, 9)
    assert made.logit_bias == {5: -1.0} and 0.99 < made.min_p < 1
    with pytest.raises(BadRequest, match="logit_bias"):
        sampling_of(chat(logit_bias={"a": 1}), default)
    with pytest.raises(BadRequest, match="top_k"):
        sampling_of(chat(top_k=-2), default)


def test_seeds_count_up_and_stay_in_range() -> None:
    first = GenerateRequest(request_id="", prompt="p", sampling=Sampling(seed=2**63 - 1))
    seeds = [each.sampling.seed for each in requests_of("r", first, 2)]
    assert seeds == [2**63 - 1, -(2**63)]
    ids = [each.request_id for each in requests_of("r", first, 3)]
    assert len(set(ids)) == 3 and all(each.startswith("r-") for each in ids)


def test_stops_are_joined_with_the_models_own_and_bounded() -> None:
    assert stops_of(chat(stop="a"), ("x",)) == ("x", "a")
    for bad in ("", ["a"] * 65, ["x" * 1001], ["a", ""]):
        with pytest.raises(BadRequest, match="stop"):
            stops_of(chat(stop=bad), ())


def test_messages_take_one_form() -> None:
    wire = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}]},
        {"role": "assistant", "tool_calls": [{"id": "2", "function": {"name": "f", "arguments": '{"x": 1}'}}]},
        {"role": "tool", "content": "1", "tool_call_id": "1"},
    ]
    seen = conversation_of(msgspec.convert(wire, list[Message]), ())
    assert [message.role for message in seen] == ["system", "user", "assistant", "assistant", "tool"]
    assert seen[1].content == "a\nb"
    assert [m.tool_calls[0].function.arguments for m in seen[2:4]] == ['{"x":1}', '{"x": 1}']


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "user"}, "messages[0] has no content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "'image_url'"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "'audio'"),
        ({"role": "user", "content": [{"type": "smell"}]}, "'smell'"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0]"),
    ],
)
def test_messages_that_cannot_be_read_are_refused(message, words) -> None:
    with pytest.raises(BadRequest) as caught:
        conversation_of([msgspec.convert(message, Message)], ("chat",))
    assert words in caught.value.message and caught.value.param.startswith("messages[0].content")


def test_an_ability_lets_its_parts_through() -> None:
    image = [{"type": "image_url", "image_url": {"url": "data:"}}]
    for ability in ("vision", "omni"):
        assert conversation_of([Message("user", image)], (ability,))[0].content == image


@pytest.mark.parametrize(
    ("fields", "order", "expected"),
    [
        ({}, None, {}),
        ({}, True, {"enable_thinking": True, "thinking": True}),
        ({"enable_thinking": False}, True, {"enable_thinking": False, "thinking": False}),
        (
            {"chat_template_kwargs": {"enable_thinking": True, "x": 1}, "enable_thinking": False},
            None,
            {"enable_thinking": True, "thinking": True, "x": 1},
        ),
        ({"chat_template_kwargs": '{"thinking": false}'}, True, {"enable_thinking": False, "thinking": False}),
        ({"reasoning_effort": "low"}, None, {"reasoning_effort": "low"}),
    ],
)
def test_who_decides_about_thinking(fields, order, expected) -> None:
    assert template_options_of(chat(**fields), order) == expected


@pytest.mark.parametrize("bad", ["{", "[1]", '"x"'])
def test_template_kwargs_must_be_an_object(bad) -> None:
    with pytest.raises(BadRequest, match="chat_template_kwargs"):
        template_options_of(chat(chat_template_kwargs=bad), None)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"{bad", None, "malformed JSON"),
        (b"", None, "malformed JSON"),
        (b'{"model": "\xff"}', None, "malformed JSON"),
        (b'{"guided_json": {"a": ' + b"[" * 100_000, None, "malformed JSON"),
        (b"[]", None, "object"),
        (b'{"model": "m"}', "messages", "'messages' is missing"),
        (b'{"messages": []}', "model", "'model' is missing"),
        (b'{"model": "m", "messages": [{"content": "x"}]}', "messages[0].role", "is missing"),
        (b'{"model": "m", "messages": [{"role": 7}]}', "messages[0].role", "Expected `str`"),
        (b'{"model": "m", "messages": [{"role": "king"}]}', "messages[0].role", "'king'"),
        (b'{"model": "m", "messages": [], "temperature": 3}', "temperature", "<= 2"),
        (b'{"model": "m", "messages": [], "max_tokens": 0}', "max_tokens", ">= 1"),
        (b'{"model": "m", "messages": [], "n": "2"}', "n", "Expected `int"),
    ],
)
def test_bodies_that_cannot_be_read_name_the_field(body, param, words) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_request("chat", body)
    assert caught.value.param == param
    assert words in caught.value.message


def test_nulls_and_unknown_fields_are_let_through() -> None:
    body = {"model": "m", "messages": [], "n": None, "stop": None, "tools": None, "frobnicate": 1}
    assert decode_request("chat", json.dumps(body).encode()).n is None


def test_events() -> None:
    assert event(b"{}") == b"data: {}\n\n"
    kind, data, *_ = error_event(EngineFailed("broke")).decode().split("\n")
    assert kind == "event: error"
    assert json.loads(data[6:]) == {
        "error": {"message": "broke", "type": "server_error", "param": None, "code": "engine_failed"},
        "detail": "broke",
    }


def test_metrics_are_cumulative_histograms() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.02, 100.0):
        metrics.observe_first_token(seconds)
    lines = metrics.render().decode().splitlines()
    name = "enginehouse_worker_first_token_seconds"
    assert f'{name}_bucket{{le="0.005"}} 1' in lines
    assert f'{name}_bucket{{le="60.0"}} 2' in lines
    assert f'{name}_bucket{{le="+Inf"}} 3' in lines
    assert f"{name}_count 3" in lines


def test_a_failure_speaks_to_the_user() -> None:
    assert failure_of(BadRequest("wrong flag")).message == "wrong flag"
    assert "Install" in failure_of(ImportError("no torch")).message
    assert "RuntimeError: boom" in failure_of(RuntimeError("boom")).message
