"""Completions over the worker's socket, in OpenAI's shapes."""

import msgspec
import pytest

from enginehouse.sdk import Completion


@pytest.fixture(scope="module")
def echo(start):
    return start(echo=True).ready()


def texts(pieces, index=0) -> str:
    return "".join(c["text"] for piece in pieces for c in piece["choices"] if c["index"] == index)


def test_a_whole_answer(plain) -> None:
    answer = plain.complete("hi there", max_tokens=2)
    assert msgspec.json.decode(answer.content, type=Completion).id.startswith("cmpl-")
    body = answer.json()
    assert body["choices"] == [{"index": 0, "text": "word0 word1 ", "logprobs": None, "finish_reason": "length"}]
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert body["object"] == "text_completion"


def test_a_stream_without_done(plain, events) -> None:
    answer = plain.complete(max_tokens=3, stream=True)
    assert "[DONE]" not in answer.text
    pieces = events(answer.text)
    assert texts(pieces) == "word0 word1 word2 "
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None, None, "length"]
    for piece in pieces:
        msgspec.convert(piece, Completion)
        assert "usage" not in piece


def test_done_when_the_order_says_so(start) -> None:
    runner = start({"completions_done": True}).ready()
    assert runner.complete(stream=True).text.endswith("data: [DONE]\n\n")


def test_include_usage_adds_one_chunk(plain, events) -> None:
    pieces = events(plain.complete(max_tokens=2, stream=True, stream_options={"include_usage": True}).text)
    assert pieces[-1]["choices"] == [] and pieces[-1]["usage"]["completion_tokens"] == 2
    assert all(piece["usage"] is None for piece in pieces[:-1])


def test_several_prompts_with_several_choices(plain, events) -> None:
    body = plain.complete(["a b", "c"], n=2, seed=5, max_tokens=1).json()
    assert [(c["index"], c["text"]) for c in body["choices"]] == [
        (0, "seed5-0 "),
        (1, "seed6-0 "),
        (2, "seed5-0 "),
        (3, "seed6-0 "),
    ]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    pieces = events(plain.complete(["a", "b"], n=2, seed=5, max_tokens=1, stream=True).text)
    assert [texts(pieces, index) for index in range(4)] == ["seed5-0 ", "seed6-0 "] * 2


def test_token_ids(echo) -> None:
    assert echo.complete([5, 6, 7]).json()["choices"][0]["text"] == "5 6 7"
    body = echo.complete([[5, 6], [7]]).json()
    assert [choice["text"] for choice in body["choices"]] == ["5 6", "7"]
    assert body["usage"]["prompt_tokens"] == 3


def test_echo_puts_the_prompt_first(plain, events) -> None:
    assert plain.complete("once ", echo=True, max_tokens=1).json()["choices"][0]["text"] == "once word0 "
    pieces = events(plain.complete(["a ", "b "], echo=True, max_tokens=1, stream=True).text)
    assert [texts(pieces, index) for index in (0, 1)] == ["a word0 ", "b word0 "]


def test_best_of_equal_to_n_is_no_wish_at_all(plain) -> None:
    for best_of, n in [(1, None), (1, 2), (2, 2)]:
        assert plain.complete(best_of=best_of, n=n, max_tokens=1).status_code == 200


def test_logprobs_are_columns(plain, events) -> None:
    expected = {
        "tokens": ["word0 ", "word1 "],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"word0 ": -0.5, "word0 1": -1.5}, {"word1 ": -0.5, "word1 1": -1.5}],
        "text_offset": [0, 6],
    }
    assert plain.complete(logprobs=2, max_tokens=2).json()["choices"][0]["logprobs"] == expected
    pieces = events(plain.complete(logprobs=2, max_tokens=2, stream=True).text)
    told = [piece["choices"][0]["logprobs"] for piece in pieces if piece["choices"][0]["logprobs"]]
    assert {name: [value for each in told for value in each[name]] for name in expected} == expected


def test_stop_strings(echo, events) -> None:
    body = echo.complete("one two three", stop=" th").json()
    assert body["choices"][0] == {"index": 0, "text": "one two", "logprobs": None, "finish_reason": "stop"}
    assert texts(events(echo.complete("one two three", stop=["x", "o t"], stream=True).text)) == "one tw"


def test_more_than_the_context_holds_is_cut_by_length(start) -> None:
    runner = start(context_length=10, tokens=50).ready()
    choice = runner.complete("a b c", max_tokens=10).json()["choices"][0]
    assert choice["finish_reason"] == "length" and len(choice["text"].split()) == 7
    assert runner.health()["context_length"] == 10
