"""Every way to say what an answer must look like comes down to one constraint, or to one refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

KINDS = ("json_schema", "regex", "choice", "grammar")
SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}
TEXT = json.dumps(SCHEMA, separators=(",", ":"))
ANY_OBJECT = '{"type":"object"}'
TOOL = {"type": "function", "function": {"name": "add"}}


@pytest.fixture(scope="module")
def able(start: Any) -> Any:
    """A runner whose engine says that it honours everything."""
    order = {"abilities": ("chat", "tools"), "engine_name": "fake"}
    return start(order, constraints=KINDS, adapters=("mine", "yours")).ready()


def formatted(schema: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, **schema}}}


@pytest.mark.parametrize(
    ("fields", "kind", "text", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "json_schema", ANY_OBJECT, "response_format"),
        (formatted({"schema": SCHEMA}), "json_schema", TEXT, "response_format"),
        (formatted({}), "json_schema", ANY_OBJECT, "response_format"),
        ({"guided_json": SCHEMA}, "json_schema", TEXT, "guided_json"),
        ({"guided_json": TEXT}, "json_schema", TEXT, "guided_json"),
        ({"guided_json": True}, "json_schema", "true", "guided_json"),
        ({"guided_json_object": True}, "json_schema", ANY_OBJECT, "guided_json_object"),
        ({"guided_regex": "a+"}, "regex", "a+", "guided_regex"),
        ({"guided_choice": ["a", "b", "a"]}, "choice", '["a","b"]', "guided_choice"),
        ({"guided_grammar": 'start: "a"'}, "grammar", 'start: "a"', "guided_grammar"),
        ({"extra_body": {"guided_regex": "a+"}}, "regex", "a+", "extra_body.guided_regex"),
        ({"guided_regex": "a+", "guided_decoding_backend": "outlines"}, "regex", "a+", "guided_regex"),
    ],
)
def test_what_the_engine_is_asked_for(able: Any, fields: Any, kind: str, text: str, param: str) -> None:
    asked = able.seen(**fields)["constraint"]
    assert asked == {"kind": kind, "text": text, "whitespace": None, "param": param}
    assert asked == json.loads(able.complete("request", **fields).json()["choices"][0]["text"])["constraint"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"response_format": None},
        {"response_format": {"type": "text"}},
        {"guided_json_object": False},
        {"guided_decoding_backend": "auto"},
        {"extra_body": {"platform": "x"}},
    ],
)
def test_nothing_asked_for(able: Any, fields: Any) -> None:
    assert able.seen(**fields)["constraint"] is None


def test_whitespace_between_tokens_of_json(able: Any) -> None:
    assert able.seen(guided_json=SCHEMA, guided_whitespace_pattern=" ?")["constraint"]["whitespace"] == " ?"
    inner = {"guided_json": SCHEMA, "guided_whitespace_pattern": " "}
    assert able.seen(extra_body=inner)["constraint"]["whitespace"] == " "


@pytest.mark.parametrize(
    ("fields", "param", "word"),
    [
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice", "guided_regex and guided_choice"),
        ({"guided_regex": "a", "extra_body": {"guided_regex": "a"}}, "extra_body.guided_regex", "one constraint"),
        ({"response_format": {"type": "json_object"}, "guided_json": SCHEMA}, "guided_json", "leave one"),
        ({"response_format": {"type": "xml"}}, "response_format", "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "`schema`"),
        ({"response_format": "json"}, "response_format", "object"),
        ({"guided_json": "{"}, "guided_json", "no JSON"),
        ({"guided_json": "[" * 100_000}, "guided_json", "no JSON"),
        ({"guided_json": "[1]"}, "guided_json", "a JSON schema"),
        ({"guided_json": 5}, "guided_json", "Expected"),
        ({"guided_regex": ""}, "guided_regex", "empty"),
        ({"guided_grammar": ""}, "guided_grammar", "empty"),
        ({"guided_choice": []}, "guided_choice", "at least one"),
        ({"guided_choice": ["a", ""]}, "guided_choice", "empty"),
        ({"guided_choice": "ab"}, "guided_choice", "Expected"),
        ({"extra_body": {"guided_regex": 5}}, "extra_body.guided_regex", "Expected"),
        ({"guided_whitespace_pattern": " "}, "guided_whitespace_pattern", "no JSON was asked for"),
        ({"guided_json": SCHEMA, "tools": [TOOL]}, "guided_json", "call a tool"),
        ({"guided_json": SCHEMA, "enable_thinking": True}, "enable_thinking", "think"),
        ({"lora_name": "his"}, "lora_name", "mine, yours"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_name_the_field(able: Any, fields: Any, param: str, word: str, stream: bool) -> None:
    answer = able.chat(stream=stream, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert word in answer.json()["error"]["message"]


def test_only_kinds_that_the_engine_names(start: Any) -> None:
    runner = start({"engine_name": "fake"}, constraints=("regex",)).ready()
    assert runner.seen(guided_regex="a")["constraint"]["kind"] == "regex"
    answer = runner.chat(guided_choice=["a"])
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "not_supported"
    assert "guided_choice cannot be honoured by engine fake" in answer.json()["detail"]


def test_a_constrained_answer_is_asked_for_without_thoughts(able: Any) -> None:
    prompt = able.seen(guided_regex="a", reasoning_effort="low")["prompt"]
    assert '"enable_thinking":false' in prompt
    assert "enable_thinking" not in able.seen()["prompt"]


def test_adapters(able: Any) -> None:
    assert able.seen(lora_name="mine")["lora_name"] == "mine"
    assert able.seen()["lora_name"] is None and able.seen(lora_name="")["lora_name"] is None
