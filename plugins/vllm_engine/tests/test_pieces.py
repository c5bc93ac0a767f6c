"""vLLM's streams as pieces, and requests as what vLLM is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enginehouse.sdk import (
    BadRequest,
    Constraint,
    ContextLengthExceeded,
    EngineFailed,
    GenerateRequest,
    Message,
    NotReady,
    Sampling,
    Tool,
)
from enginehouse.sdk.chat import Function
from enginehouse_vllm.bodies import ChatPrompt, generation_body
from enginehouse_vllm.own_fields import own_fields
from enginehouse_vllm.pieces import Pieces, StreamFailed
from enginehouse_vllm.refusals import refusal_of


def stream(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def chat(text: str | None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, **more}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}


def test_text_counts_and_the_reason_of_a_chat() -> None:
    data = stream(chat("", role="x"), chat("Hel"), chat("lo"), chat("", finish_reason="stop"), USAGE)
    pieces = list(Pieces(None, ()).feed(data))
    assert "".join(piece.text for piece in pieces) == "Hello"
    assert sum(piece.tokens for piece in pieces) == 3
    assert (pieces[-1].prompt_tokens, pieces[-1].finish_reason) == (5, "stop")


def test_a_stream_may_be_cut_anywhere() -> None:
    data = stream(chat("Grüße"), chat("!", finish_reason="length"), USAGE)
    whole = list(Pieces(None, ()).feed(data))
    reader = Pieces(None, ())
    assert [piece for byte in data for piece in reader.feed(bytes([byte]))] == whole


def test_completions() -> None:
    data = stream(
        {"choices": [{"index": 0, "text": "a"}]}, {"choices": [{"text": "b", "finish_reason": "length"}]}, USAGE
    )
    assert [piece.text for piece in Pieces(None, ()).feed(data)] == ["a", "b"]


def test_the_stop_string_comes_back_so_that_it_is_told() -> None:
    data = stream(chat("1, 2, ", finish_reason="stop", stop_reason="3"), USAGE)
    assert [piece.text for piece in Pieces(None, ("3",)).feed(data)] == ["1, 2, 3"]
    data = stream(chat("1, 2, ", finish_reason="stop", stop_reason=19), USAGE)
    assert [piece.text for piece in Pieces(None, ("3",)).feed(data)] == ["1, 2, "]


def test_logprobs_of_both_routes() -> None:
    told = [
        {
            "token": "a",
            "logprob": -1.0,
            "top_logprobs": [{"token": "b", "logprob": -0.5}, {"token": "a", "logprob": -1.0}],
        }
    ]
    (piece, _) = Pieces(1, ()).feed(
        stream(chat("a", logprobs={"content": told}), chat("", finish_reason="stop"), USAGE)
    )
    assert piece.logprobs[0].text == "a" and piece.logprobs[0].top == (("b", -0.5),)
    columns = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0, "b": -0.5}]}
    (other, _) = Pieces(1, ()).feed(
        stream(
            {"choices": [{"text": "a", "logprobs": columns}]},
            {"choices": [{"text": "", "finish_reason": "stop"}]},
            USAGE,
        )
    )
    assert other.logprobs == piece.logprobs


def test_an_error_within_a_stream() -> None:
    with pytest.raises(StreamFailed) as failed:
        list(Pieces(None, ()).feed(stream(chat("a"), {"error": {"message": "dead", "code": 500}})))
    assert isinstance(refusal_of(500, failed.value.body), EngineFailed)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_vllm_gave_up_is_an_error(reason: str) -> None:
    with pytest.raises(EngineFailed):
        list(Pieces(None, ()).feed(stream(chat("a", finish_reason=reason), USAGE)))


def body_of(prompt: Any = "hi", more: dict[str, Any] | None = None, **fields: Any) -> tuple[str, dict[str, Any]]:
    return generation_body(GenerateRequest(request_id="r", prompt=prompt, **fields), "mine", more or {})


def test_a_prompt_goes_to_completions() -> None:
    route, body = body_of(sampling=Sampling(max_tokens=4, seed=7, logprobs=0, logit_bias={5: 1.0}))
    assert route == "/v1/completions" and body["prompt"] == "hi" and body["add_special_tokens"]
    assert (body["model"], body["max_tokens"], body["seed"], body["logprobs"]) == ("mine", 4, 7, 0)
    assert body["logit_bias"] == {"5": 1.0}


def test_a_conversation_goes_to_chat_with_its_tools_as_text() -> None:
    tool = Tool(function=Function(name="f"))
    prompt = ChatPrompt.of("rendered", (Message(role="user", content="hi"),), (tool,), {"enable_thinking": False})
    route, body = body_of(prompt, sampling=Sampling(logprobs=2), keep_special_tokens=True)
    assert route == "/v1/chat/completions" and body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["tools"][0]["function"]["name"] == "f" and body["tool_choice"] == "none"
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (body["logprobs"], body["top_logprobs"], body["skip_special_tokens"]) == (True, 2, False)


def test_an_adapter_is_the_model() -> None:
    assert body_of(lora_name="shout")[1]["model"] == "shout"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("choice", '["a","b"]', {"choice": ["a", "b"]}),
        ("regex", "a+", {"regex": "a+"}),
        ("grammar", 'start: "a"', {"grammar": 'start: "a"'}),
    ],
)
def test_constraints(kind: Any, text: str, said: dict[str, Any]) -> None:
    assert body_of(constraint=Constraint(kind=kind, text=text))[1]["structured_outputs"] == said


@pytest.mark.parametrize(("schema", "said"), [({"type": "object"}, {"type": "object"}), (True, {"anyOf": [True]})])
def test_a_schema_also_says_what_may_stand_between_tokens(schema: Any, said: dict[str, Any]) -> None:
    for whitespace, told in ((" ?", "whitespace_pattern"), (None, "item_separator")):
        constraint = Constraint(kind="json_schema", text=json.dumps(schema), whitespace=whitespace)
        sent = body_of(constraint=constraint)[1]["structured_outputs"]["json"]
        assert told in sent.pop("x-guidance") and sent == said


def test_who_waits_for_all_of_it_gets_few_large_chunks() -> None:
    assert "stream_interval" not in body_of()[1]
    assert body_of(whole=True)[1]["stream_interval"] > 1000


def test_fields_of_vllms_own_pass_and_others_do_not() -> None:
    assert own_fields(b'{"model": "m", "min_tokens": 3, "stream": true}') == {"min_tokens": 3}
    assert own_fields(b'{"model": "m"}') == {} and own_fields(b'{"min_tokens": ') == {}
    assert body_of(more={"min_tokens": 3})[1]["min_tokens"] == 3


def refused(message: str, status: int = 400, param: str | None = None, constraint: Constraint | None = None) -> Any:
    body = {"error": {"message": message, "type": "BadRequestError", "param": param, "code": status}}
    return refusal_of(status, json.dumps(body).encode(), constraint)


def test_a_long_prompt() -> None:
    error = refused(
        "This model's maximum context length is 8 tokens. (parameter=input_tokens, value=9)", param="input_tokens"
    )
    assert isinstance(error, ContextLengthExceeded) and error.param == "prompt" and "parameter=" not in error.message
    assert isinstance(refused("max_tokens must be at least 1, got 0.", param="max_tokens"), ContextLengthExceeded)


def test_other_errors_keep_their_words() -> None:
    error = refused("top_k is odd", param="top_k")
    assert type(error) is BadRequest and (error.param, error.message) == ("top_k", "top_k is odd")
    assert refused("min_tokens must be less than or equal to max_tokens=1, got 2.").param == "min_tokens"
    said = "Model 'checked' does not support Matryoshka embeddings; dimensions must be unset (received dimensions=8)."
    assert refused(said).param == "dimensions"
    assert isinstance(refused("boom", 500), EngineFailed) and isinstance(refused("later", 503), NotReady)
    assert isinstance(refusal_of(500, b"<html>"), EngineFailed)


def test_a_constraint_that_cannot_be_read_is_named() -> None:
    constraint = Constraint(kind="grammar", text="x", param="guided_grammar")
    assert refused("Invalid grammar specification.", constraint=constraint).param == "guided_grammar"
