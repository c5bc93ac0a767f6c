"""What launchers and their models can do wrong: who is told what, and that the worker, or its successor, serves on."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from enginehouse.testing.waiting import alive, wait_for


@pytest.fixture(scope="module")
def odd(begin: Any) -> Any:
    """A worker that is left as it was found."""
    return begin("odd_launchers:odd", registered='{"mood": "fair"}').ready()


@pytest.mark.parametrize(
    ("launcher", "options", "said"),
    [
        ("odd_launchers:odd", {"rest": {"mood": "launcher raises"}}, "raised KeyError: 'no such model'"),
        ("odd_launchers:odd", {"rest": {"mood": "load raises"}}, "ValueError: the weights are sour"),
        ("odd_launchers:odd", {"rest": {"mood": "load exits"}}, "called sys.exit(3)"),
        ("odd_launchers:odd", {"rest": {"mood": "no infer"}}, "gave object, which has no load and no infer"),
        ("odd_launchers:odd", {"launcher_args": "[1]"}, "launcher_args is no JSON object"),
        ("odd_launchers:strict", {"rest": {"size": 1, "colour": "red"}}, "does not take these arguments"),
        ("odd_launchers:gone", {}, "There is no 'gone' in odd_launchers"),
        ("odd_launchers:not_callable", {}, "is int, which cannot be called"),
        ("no_such_module:launcher", {}, "cannot be imported: No module named 'no_such_module'"),
        ("enginehouse_flexible.launchers.function:launcher", {}, "give it as module:name"),
        ("enginehouse_flexible.launchers.onnx:launcher", {}, "Say where the ONNX model lies"),
    ],
)
def test_a_model_that_cannot_be_built_says_why(begin: Any, launcher: str, options: dict[str, Any], said: str) -> None:
    ended = begin(launcher, **options).exit()
    assert ended.failure is not None and said in ended.failure.message


def test_what_infer_raises_is_told_and_the_next_call_is_answered(odd: Any) -> None:
    status, message = odd.refusal("raise")
    assert status == 500 and "RuntimeError: the model is cross" in message
    assert odd.result(text=5)["text"] == 5
    assert "do_raise" in odd.log()  # the traceback is for whoever keeps the server


def test_a_model_that_leaves_in_infer_does_not(odd: Any) -> None:
    status, message = odd.refusal("exit")
    assert status == 500 and "called sys.exit(7)" in message
    assert odd.result()["pid"] == odd.pid


@pytest.mark.parametrize(("what", "said"), [("object", "_thread.lock"), ("loop", "ecursion")])
def test_what_is_no_json_is_named(odd: Any, what: str, said: str) -> None:
    status, message = odd.refusal(what)
    assert status == 500 and "which JSON cannot hold" in message and said in message


def test_what_a_model_prints_goes_to_the_log_and_nowhere_else(odd: Any) -> None:
    assert odd.result("print", text="good morning") == "said"
    wait_for(lambda: "good morning" in odd.log() and "good morning, aloud" in odd.log())


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {"colour": "red"}, "unexpected keyword argument 'colour'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        (("echo",), {"what": "echo"}, "multiple values"),
    ],
)
def test_wrong_arguments_are_the_callers_fault(odd: Any, args: Any, kwargs: Any, said: str) -> None:
    status, message = odd.refusal(*args, **kwargs)
    assert status == 400 and said in message and "It takes (what='echo', *, text=None" in message


@pytest.mark.parametrize(
    ("body", "param"),
    [({"args": 5}, "args"), ({"stream": "yes"}, "stream"), ({"model": 5}, "model"), ({"request_id": 1}, "request_id")],
)
def test_a_wrong_body_names_the_field(odd: Any, body: dict[str, Any], param: str) -> None:
    answer = odd.client.post("/v1/flexible/infers", json={"model": "model", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("args", [None, []])
def test_arguments_may_be_left_out(odd: Any, args: Any) -> None:
    answer = odd.client.post("/v1/flexible/infers", json={"model": "model", "args": args, "text": "x"})
    assert answer.json()["text"] == "x"


def test_a_model_that_forks_answers_once_and_its_copy_is_gone(odd: Any) -> None:
    child = odd.result("fork")["child"]
    assert child > 0
    wait_for(lambda: not alive(child), what="the end of the copy")
    assert odd.result()["pid"] == odd.pid


def test_a_call_that_never_returns_is_ended_with_its_worker(begin: Any) -> None:
    worker = begin("odd_launchers:odd", infer_seconds=0.5).ready()
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(worker.refusal()))
    began = time.monotonic()
    first = threading.Thread(target=lambda: answers.append(worker.refusal("sleep", seconds=600)))
    first.start()
    wait_for(lambda: "in_flight 1" in worker.metrics())
    waiting.start()
    first.join(20)
    waiting.join(20)
    assert time.monotonic() - began < 20
    assert {status for status, _ in answers} == {504, 503}
    assert any("did not answer within 0.5 s" in message for _, message in answers)
    assert any("is being replaced" in message for _, message in answers)
    ended = worker.exit()
    assert ended.cause == "exited" and ended.failure and "did not answer within 0.5 s" in ended.failure.message


def test_a_stream_that_stalls_is_ended_too(begin: Any) -> None:
    worker = begin("odd_launchers:odd", infer_seconds=0.5).ready()
    answer = worker.infer("count", times=2, seconds=600, stream=True)
    assert answer.status_code == 504 and worker.exit().failure


def test_a_stream_takes_as_long_as_it_moves(begin: Any) -> None:
    worker = begin("odd_launchers:odd", infer_seconds=1.0).ready()
    assert worker.result("count", times=8, seconds=0.2) == list(range(8))


def test_a_worker_that_takes_too_much_memory_is_replaced_after_the_answer(begin: Any) -> None:
    worker = begin("odd_launchers:odd", memory_limit_mb=300).ready()
    assert worker.result("leak", times=1) == worker.pid
    assert worker.result("leak", times=400) == worker.pid
    ended = worker.exit()
    assert ended.failure and "more than its memory_limit_mb of 300" in ended.failure.message
