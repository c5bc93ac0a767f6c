"""Tasks that plugins bring, which a runner knows only from its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from enginehouse.sdk import TaskOrder

ROUTE = "/v1/stars/looks"


def order(engine: str = "Looker", request: str = "LookRequest", **fields: Any) -> dict[str, Any]:
    task = TaskOrder(name="look", route=ROUTE, request=f"own_task_engines:{request}", **fields)
    return {
        "engine": f"own_task_engines:{engine}",
        "options": "small_engines:NoOptions",
        "tasks": ("look",),
        "own_tasks": (task,),
        "facts": {"season": 7},
        "launcher": "a:b",
    }


@pytest.fixture(scope="module")
def looker(start: Callable[..., Any]) -> Any:
    return start(order()).ready()


def look(runner: Any, **fields: Any) -> Any:
    return runner.client.post(ROUTE, json={"model": "m", **fields})


def test_the_method_of_its_name_answers(looker: Any) -> None:
    assert look(looker, at="sea").json() == {"what": "sea"}
    assert look(looker, at="facts").json() == {"facts": {"season": 7}, "launcher": "a:b"}
    assert 'requests_total{task="look"}' in looker.metrics()


def test_a_coroutine_answers_too(start: Callable[..., Any]) -> None:
    assert look(start(order("AsyncLooker")).ready()).json() == {"what": "async"}


def test_its_stream_has_an_event_for_each_value(looker: Any) -> None:
    answer = look(looker, times=2, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == 'data: {"what":0}\n\ndata: {"what":1}\n\ndata: [DONE]\n\n'


def test_its_stream_ends_as_its_task_says(start: Callable[..., Any]) -> None:
    runner = start(order(ends_with_done=False)).ready()
    assert look(runner, times=1, stream=True).text == 'data: {"what":0}\n\n'


def test_keys_that_a_struct_does_not_name_reach_an_open_one(start: Callable[..., Any]) -> None:
    runner = start(order(request="OpenLookRequest")).ready()
    assert look(runner, colour="red", rest=5).json() == {"what": {"colour": "red", "rest": 5}}
    answer = look(runner, at=5)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "at")
    assert runner.client.post(ROUTE, content=b"[1]").status_code == 400


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"at": "nowhere"}, 400, "There is nothing there."),
        ({"at": 5}, 400, "The field 'at' is wrong"),
        ({"at": "twice"}, 500, "gave several values"),
        ({"at": "nothing"}, 500, "gave no answer"),
        ({"at": "void"}, 500, "which JSON cannot hold"),
    ],
)
def test_what_goes_wrong_is_told(looker: Any, fields: dict[str, Any], status: int, said: str) -> None:
    answer = look(looker, **fields)
    assert answer.status_code == status and said in answer.json()["detail"]


def test_an_engine_without_the_method_says_so(start: Callable[..., Any]) -> None:
    answer = look(start(order("Blind")).ready())
    assert answer.status_code == 500 and "has no method 'look'" in answer.json()["detail"]


def test_other_tasks_are_refused(looker: Any) -> None:
    answer = looker.chat("hi")
    assert answer.status_code == 400 and "it does: look" in answer.json()["detail"]
    assert looker.client.get(ROUTE).status_code == 404


def test_a_request_that_cannot_be_imported_fails_the_load(start: Callable[..., Any]) -> None:
    runner = start(order(request="Gone"))
    assert runner.exit() == 1
    assert "'own_task_engines:Gone' cannot be found" in (runner.folder / "failure.json").read_text()


def test_an_engine_may_ask_for_the_end_of_its_worker(start: Callable[..., Any]) -> None:
    runner = start(order()).ready()
    assert look(runner, at="leave").json() == {"what": "leave"}
    assert runner.exit() == 1
    assert "it has seen enough" in (runner.folder / "failure.json").read_text()
