"""What a worker refuses, and in which words."""

import pytest

TOOL = {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    ("fields", "param", "code", "word"),
    [
        ({"messages": []}, "messages", "invalid_request", "empty"),
        ({"messages": None}, "messages", "invalid_request", "array"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_request", "Expected"),
        ({"temperature": 3}, "temperature", "invalid_request", "2"),
        ({"top_k": -5}, "top_k", "invalid_request", "-5"),
        ({"n": 0}, "n", "invalid_request", ">= 1"),
        ({"max_tokens": 5000}, "max_tokens", "invalid_request", "4096"),
        ({"max_completion_tokens": 5000}, "max_completion_tokens", "invalid_request", "5000"),
        ({"tools": [TOOL]}, "tools", "not_supported", "'tools'"),
        ({"response_format": {"type": "json_object"}}, "response_format", "not_supported", "json_object"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            "response_format",
            "not_supported",
            "json_schema",
        ),
        ({"guided_json": {"type": "object"}}, "guided_json", "not_supported", "leave"),
        ({"guided_regex": "a+"}, "guided_regex", "not_supported", "leave"),
        ({"guided_choice": ["a"]}, "guided_choice", "not_supported", "leave"),
        ({"guided_grammar": "x"}, "guided_grammar", "not_supported", "leave"),
        ({"lora_name": "mine"}, "lora_name", "not_supported", "mine"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "invalid_request", "ids"),
        ({"stop": ""}, "stop", "invalid_request", "1 to"),
        ({"chat_template_kwargs": "{"}, "chat_template_kwargs", "invalid_request", "JSON"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0]",
            "not_supported",
            "vision",
        ),
    ],
)
def test_chats(plain, fields, param, code, word) -> None:
    answer = plain.chat(**fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"
    assert word in error["message"] and answer.json()["detail"] == error["message"]


def test_a_forced_tool_call(start) -> None:
    runner = start({"abilities": ("chat", "tools")}).ready()
    for choice in ("required", {"type": "function", "function": {"name": "add"}}):
        answer = runner.chat(tools=[TOOL], tool_choice=choice)
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "not_supported"
        assert answer.json()["error"]["param"] == "tool_choice" and "auto" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("prompt", "fields", "param"),
    [
        ("a", {"suffix": "z"}, "suffix"),
        ("a", {"best_of": 3}, "best_of"),
        ([1, 2], {"echo": True}, "echo"),
        ("a", {"echo": True, "logprobs": 1}, "echo"),
        ([], {}, "prompt"),
        ([[]], {}, "prompt"),
        (["a", 1], {}, "prompt"),
        (None, {}, "prompt"),
        (["a"] * 2000, {}, "prompt"),
        ("a", {"max_tokens": 5000}, "max_tokens"),
        ("a", {"logprobs": 21}, "logprobs"),
    ],
)
def test_completions(plain, prompt, fields, param) -> None:
    answer = plain.complete(prompt, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


def test_a_prompt_that_cannot_fit_is_refused_before_any_of_it_is_read(plain) -> None:
    text = "x" * 10_000_000
    for answer in (plain.complete(text), plain.chat(text), plain.complete([1] * 5000)):
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert "4096" in answer.json()["detail"]


def test_a_prompt_over_the_context_is_refused_by_the_engine(plain) -> None:
    answer = plain.complete("a " * 4096, stream=True)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("body", [b"{bad", b"", b"a=b", b"[]", b"\xff"])
def test_bodies_that_are_no_json_object(plain, body) -> None:
    answer = plain.client.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400 and answer.json()["detail"]


def test_unknown_routes_have_the_same_shape(plain) -> None:
    for method, path in [("GET", "/nowhere"), ("GET", "/v1/chat/completions"), ("POST", "/health")]:
        answer = plain.client.request(method, path)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found" and path in answer.json()["detail"]


def test_tasks_that_the_order_does_not_name(start) -> None:
    answer = start({"tasks": ("generate",)}).ready().chat()
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "not_supported"
    assert "generate" in answer.json()["detail"]


def test_an_engines_own_refusal_is_a_clean_answer(start) -> None:
    runner = start(refuse=True).ready()
    for stream in (False, True):
        answer = runner.chat(stream=stream)
        assert answer.status_code == 400
        assert "told to refuse" in answer.json()["error"]["message"]
