"""How calls are made: one at a time unless the model says otherwise, together where it can, streamed if it yields."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from enginehouse.testing.waiting import wait_for


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3)])
def test_as_many_calls_at_once_as_the_model_allows(begin: Any, concurrency: int, most: int) -> None:
    arguments = {"mood": "counts", "concurrency": concurrency}
    worker = begin("odd_launchers:odd", launcher_args=arguments).ready()
    with ThreadPoolExecutor(6) as callers:
        answers = callers.map(lambda _: worker.result("sleep", seconds=0.3), range(6))
    assert max(answers) == most


def test_calls_that_wait_are_answered_together(begin: Any) -> None:
    worker = begin("odd_launchers:joined").ready()
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(worker.result, 0, seconds=1.0)
        wait_for(lambda: "in_flight 1" in worker.metrics())
        others = [callers.submit(worker.result, number) for number in range(1, 5)]
        assert first.result() == [0, 1]
        assert [each.result() for each in others] == [[number, 4] for number in range(1, 5)]


def test_an_error_among_joined_calls_is_one_callers(begin: Any) -> None:
    worker = begin("odd_launchers:joined").ready()
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(worker.result, 0, seconds=1.0)
        wait_for(lambda: "in_flight 1" in worker.metrics())
        wrong, right = callers.submit(worker.refusal, -1), callers.submit(worker.result, 2)
        assert first.result() == [0, 1]
        assert wrong.result() == (500, "The engine failed on this request: ValueError: negative. See the worker's log.")
        assert right.result() == [2, 2]


def test_a_batch_of_the_wrong_length_is_told_to_all(begin: Any) -> None:
    worker = begin("odd_launchers:joined").ready()
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(worker.result, 0, seconds=1.0)
        wait_for(lambda: "in_flight 1" in worker.metrics())
        wrong = [callers.submit(worker.refusal, number) for number in (-2, 3)]
        first.result()
        assert {each.result() for each in wrong} == {
            (500, "infer_batch of launcher odd_launchers:joined gave 0 results for 2 calls.")
        }


def test_values_that_a_model_yields_are_a_list_or_events(begin: Any) -> None:
    worker = begin("odd_launchers:odd").ready()
    assert worker.result("count", times=3) == [0, 1, 2]
    answer = worker.infer("count", times=2, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == 'data: {"value":0}\n\ndata: {"value":1}\n\ndata: [DONE]\n\n'
    assert worker.infer(text="one", stream=True).text.count("data: ") == 2  # a single value is a stream, too
    broken = worker.infer("count", times=1, text="out of numbers", stream=True).text
    assert broken.startswith('data: {"value":0}') and "out of numbers" in broken.split("event: error")[1]


def test_a_caller_that_leaves_ends_the_models_generator(begin: Any) -> None:
    worker = begin("odd_launchers:odd").ready()
    body = {"model": "model", "args": ["count"], "times": 10_000, "seconds": 0.01, "stream": True}
    with worker.client.stream("POST", "/v1/flexible/infers", json=body) as answer:
        next(answer.iter_lines())
    wait_for(lambda: "counted, left at" in worker.log(), what="the generator's end")
    assert worker.result(text=1)["text"] == 1


def test_what_is_slowly_read_is_no_stall(begin: Any) -> None:
    worker = begin("odd_launchers:odd", infer_seconds=0.5).ready()
    assert isinstance(worker.client, httpx.Client)
    body = {"model": "model", "args": ["count"], "times": 40, "seconds": 0.0, "stream": True}
    with worker.client.stream("POST", "/v1/flexible/infers", json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert len(lines) == 41 and lines[-1] == "data: [DONE]"


def test_any_function_is_a_model(begin: Any) -> None:
    worker = begin("enginehouse_flexible.launchers.function:launcher", registered={"function": "odd_launchers.add"})
    worker.ready()
    assert worker.result(2) == 3.0
    assert worker.result(a=2, b=3) == 5.0
    assert worker.refusal()[0] == 400


def test_a_coroutine_is_awaited(begin: Any) -> None:
    arguments = {"function": "odd_launchers:slowly"}
    worker = begin("enginehouse_flexible.launchers.function:launcher", registered=arguments).ready()
    assert worker.result("loud") == "LOUD"


def test_the_echo_needs_no_library(begin: Any) -> None:
    worker = begin("enginehouse_flexible.launchers.transformers:launcher", registered='{"task": "mock"}').ready()
    assert worker.result(a=1, b="x") == {"a": 1, "b": "x"}
