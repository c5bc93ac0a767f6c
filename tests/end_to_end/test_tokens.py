"""Tokens of a real model through the gateway, and an engine that knows none."""

import pytest


@pytest.fixture(scope="module")
def post(server):
    server.launch("stoker", model_engine="transformers")
    server.launch("fake-model")

    def post(route, model="stoker", **fields):
        return server.client.post(f"/v1/{route}", json={"model": model, **fields})

    return post


def test_a_text_becomes_tokens_and_text_again(post) -> None:
    answer = post("tokenize", prompt="The largest animal is the blue whale.").json()
    assert answer["count"] == len(answer["tokens"]) > 3 and answer["max_model_len"] == 1024
    assert post("detokenize", tokens=answer["tokens"]).json() == {"prompt": "The largest animal is the blue whale."}


def test_a_conversation_has_the_tokens_that_a_chat_is_charged(post) -> None:
    messages = [{"role": "user", "content": "What is the largest animal?"}]
    counted = post("tokenize", messages=messages, return_token_strs=True).json()
    charged = post("chat/completions", messages=messages, max_tokens=1).json()["usage"]["prompt_tokens"]
    assert counted["count"] == charged == len(counted["token_strs"])


def test_ids_become_tokens(post) -> None:
    ids = post("tokenize", prompt="blue whale").json()["tokens"]
    tokens = post("convert_ids_to_tokens", input=ids).json()
    assert len(tokens) == len(ids) and all(isinstance(token, str) for token in tokens)
    assert post("convert_ids_to_tokens", input=[ids, ids]).json() == [tokens, tokens]


@pytest.mark.parametrize(
    ("route", "fields", "word"),
    [
        ("tokenize", {}, "prompt"),
        ("tokenize", {"prompt": "a", "messages": []}, "prompt"),
        ("tokenize", {"prompt": 5}, "prompt"),
        ("tokenize", {"messages": [{"role": "wizard", "content": "hi"}]}, "role"),
        ("detokenize", {"tokens": [10**7]}, "10000000"),
        ("detokenize", {"tokens": [-1]}, "tokens"),
        ("convert_ids_to_tokens", {"input": [1, [2]]}, "mixes"),
        ("convert_ids_to_tokens", {"input": [10**7]}, "10000000"),
    ],
)
def test_what_is_wrong_is_named(post, route, fields, word) -> None:
    answer = post(route, **fields)
    assert answer.status_code == 400 and word in answer.json()["detail"]


@pytest.mark.parametrize(
    ("route", "fields"),
    [("tokenize", {"prompt": "a"}), ("detokenize", {"tokens": [1]}), ("convert_ids_to_tokens", {"input": [1]})],
)
def test_an_engine_without_a_tokenizer_says_so(post, route, fields) -> None:
    answer = post(route, "fake-model", **fields)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "not_supported"
    assert post(route, "nosuch", **fields).status_code == 404
