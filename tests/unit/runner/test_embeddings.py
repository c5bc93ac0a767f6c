"""Embeddings and ranking over the worker's socket, in the shapes that OpenAI's and Xinference's clients read."""

import base64
import json
import struct

import msgspec
import pytest

from enginehouse.sdk import EmbeddingAnswer, RerankAnswer


@pytest.fixture(scope="module")
def worker(start):
    order = {
        "engine": "vector_engines:Letters",
        "options": "small_engines:NoOptions",
        "tasks": ("embed", "rerank"),
        "abilities": ("embed", "rerank"),
    }
    return start(order).ready()


@pytest.fixture
def embed(worker):
    return lambda given, **fields: worker.client.post("/v1/embeddings", json={"model": "m", "input": given, **fields})


@pytest.fixture
def rerank(worker):
    def ask(documents, **fields):
        body = {"model": "m", "query": "q", "documents": documents, **fields}
        return worker.client.post("/v1/rerank", json=body)

    return ask


def test_vectors_as_numbers(embed) -> None:
    answer = embed(["a", "bb", "ccc"])
    assert msgspec.json.decode(answer.content, type=EmbeddingAnswer).usage.total_tokens == 6
    body = answer.json()
    assert (body["object"], body["model"]) == ("list", "m")
    assert body["data"] == [
        {"index": 0, "object": "embedding", "embedding": [1, 0, 0]},
        {"index": 1, "object": "embedding", "embedding": [2, 0, 1]},
        {"index": 2, "object": "embedding", "embedding": [3, 0, 2]},
    ]
    assert body["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert "truncated" not in body


def test_vectors_as_base64(embed) -> None:
    data = embed(["a", "bb"], encoding_format="base64").json()["data"]
    assert [struct.unpack("<3f", base64.b64decode(one["embedding"])) for one in data] == [(1, 0, 0), (2, 0, 1)]


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("text", ["text"]),
        ([5, 6, 7], [[5, 6, 7]]),
        ([[5], [6, 7]], [[5], [6, 7]]),
        ({"text": "x"}, [{"text": "x"}]),
        ([{"text": "x"}, "y"], [{"text": "x"}, "y"]),
    ],
)
def test_every_form_of_input_is_one_vector_each(embed, given, inputs) -> None:
    vectors = embed(given).json()["data"]
    assert [one["embedding"][0] for one in vectors] == [len(one) for one in inputs]


def test_fields_reach_the_engine(embed) -> None:
    fields = {"dimensions": 8, "truncate_prompt_tokens": 4, "prompt": "p", "prompt_name": "n", "truncate": False}
    answer = embed("request", normalize_embeddings=False, return_sparse=True, request_id="mine", **fields).json()
    (seen,) = map(json.loads, answer["data"][0]["embedding"])
    assert seen == {
        "request_id": "mine",
        "inputs": ["request"],
        "dimensions": 8,
        "normalize": False,
        "sparse": True,
        "max_tokens": 4,
        "truncate": False,
        "prompt_name": "n",
        "prompt": "p",
    }


def test_nulls_are_as_good_as_nothing(embed) -> None:
    nothing = dict.fromkeys(("encoding_format", "dimensions", "user", "truncate_prompt_tokens", "return_sparse"))
    assert embed("a", **nothing).json()["data"][0]["embedding"] == [1, 0, 0]


def test_sparse_vectors(embed) -> None:
    assert embed(["abc"], return_sparse=True).json()["data"][0]["embedding"] == {"letters": 3.0}


def test_an_answer_says_which_inputs_were_cut(embed) -> None:
    assert embed(["short", "short", "a text of more than ten", "short"]).json()["truncated"] == [2]


def test_no_input_is_no_vector(embed) -> None:
    answer = embed([]).json()
    assert (answer["data"], answer["usage"]) == ([], {"prompt_tokens": 0, "total_tokens": 0})


@pytest.mark.parametrize(
    ("given", "param"), [([1, "a"], "input"), ([-1], "input[0]"), ([[]], "input[0]"), (5, "input"), (None, "input")]
)
def test_input_that_is_none(embed, given, param) -> None:
    answer = embed(given)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_vector_that_is_not_a_number_is_an_error_of_its_own_caller(embed) -> None:
    answer = embed(["fine", "nan"])
    assert answer.status_code == 500
    assert "input 1" in answer.json()["detail"]
    assert embed("fine").status_code == 200


def test_what_the_engine_refuses(embed) -> None:
    answer = embed(["a", "b", "refuse"])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[2]")


def test_documents_come_back_in_order(rerank) -> None:
    answer = rerank(["bb", "a", "ccc"])
    assert msgspec.json.decode(answer.content, type=RerankAnswer).results[0].index == 2
    body = answer.json()
    assert body["results"] == [
        {"index": 2, "relevance_score": 3.0, "document": None},
        {"index": 0, "relevance_score": 2.0, "document": None},
        {"index": 1, "relevance_score": 1.0, "document": None},
    ]
    assert body["meta"] == {"api_version": None, "billed_units": None, "tokens": None, "warnings": None}
    assert body["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def test_fields_of_a_ranking(rerank) -> None:
    body = rerank(["bb", {"text": "ccc"}, "a"], top_n=2, return_documents=True, return_len=True).json()
    assert [one["document"] for one in body["results"]] == [{"text": "ccc"}, {"text": "bb"}]
    assert body["meta"]["tokens"] == {"input_tokens": 9, "output_tokens": 9}


def test_kwargs_are_fields_too(rerank) -> None:
    kwargs = json.dumps({"normalize": True, "top_n": 1, "foo": 1, "return_len": None})
    body = rerank(["bb", "a"], top_n=None, max_chunks_per_doc=None, return_documents=None, kwargs=kwargs).json()
    assert [one["relevance_score"] for one in body["results"]] == [pytest.approx(0.2)]
    assert rerank(["a"], kwargs="[1]").status_code == 400
    assert rerank(["a"], kwargs='{"top_n": "x"}').status_code == 400


def test_documents_that_were_cut_are_a_warning(rerank) -> None:
    (warning,) = rerank(["a", "a text of more than ten"]).json()["meta"]["warnings"]
    assert warning.startswith("1 documents") and warning.endswith(": 1.")


def test_top_n_and_no_documents(rerank) -> None:
    assert rerank(["a", "b"], top_n=0).json()["results"] == []
    assert len(rerank(["a", "b"], top_n=99).json()["results"]) == 2
    assert rerank([]).json()["results"] == []


@pytest.mark.parametrize(
    ("fields", "param"), [({"top_n": -1}, "top_n"), ({"max_chunks_per_doc": 2}, "max_chunks_per_doc")]
)
def test_what_cannot_be_done(rerank, fields, param) -> None:
    answer = rerank(["a"], **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_score_that_is_not_a_number(rerank) -> None:
    assert rerank(["a", "nan"]).status_code == 500


def test_tasks_of_texts_are_refused(worker) -> None:
    assert worker.complete("hi").status_code == 400
