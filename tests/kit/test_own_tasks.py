"""The kit asks for tasks that plugins bring what their examples say, and finds what answers wrongly."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from enginehouse.sdk import Example, InvalidSpec, ModelType, TaskExample
from enginehouse.testing.checks import own_tasks
from enginehouse.testing.checks.check import Check
from enginehouse.testing.checks.stage import Stage
from enginehouse.testing.houses import House
from enginehouse.testing.reports import run_check
from enginehouse_flexible import plugin as flexible

(SPEC,) = flexible.enginehouse_engines()
(KIND,) = flexible.enginehouse_model_types()
FUNCTIONS = """
    import itertools

    numbers = itertools.count()


    def count(*args, **anything):
        return next(numbers)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "wrong_functions.py").write_text(textwrap.dedent(FUNCTIONS))
    house = House(folder / "h", site=(folder,))
    yield house.start()
    house.end()


@pytest.fixture(scope="module")
def stage(house: House) -> Iterator[Stage]:
    """A model that takes whatever comes, and never answers twice the same."""
    arguments = {"function": "wrong_functions:count"}
    model = {"model_name": "wrong", "launcher": "callable", "launcher_args": arguments}
    house.client.post("/v1/model_registrations/flexible", json={"model": model}).raise_for_status()
    launch: dict[str, Any] = {"model_type": "flexible", "model_uid": "wrong"}
    house.launch("wrong", **launch)
    stage = Stage(house, {**launch, "model_name": "wrong"}, SPEC, KIND, KIND.examples[0])
    yield stage
    stage.close()


FOUND = (
    own_tasks.answers_repeat,
    own_tasks.callers_do_not_mix,
    own_tasks.wrong_requests_are_refused,
    own_tasks.streams_are_the_same,
)


@pytest.mark.parametrize("check", FOUND, ids=lambda check: check.name)
def test_what_answers_wrongly_is_found(check: Check, stage: Stage) -> None:
    result = run_check(check, stage)
    assert result.state == "failed" and "POST /v1/flexible/infers" in result.sent and result.came.startswith("200")


def test_an_answer_of_another_kind_is_found(stage: Stage) -> None:
    """The same worker, held to a task that says it answers texts."""
    (infer,) = KIND.own_tasks
    facts = stage.facts
    texts = msgspec.structs.replace(infer, answer=dict[str, str])
    stage.facts = msgspec.structs.replace(facts, asked=((texts, facts.asked[0][1]),))
    try:
        result = run_check(own_tasks.examples_are_answered, stage)
    finally:
        stage.facts = facts
    assert result.state == "failed" and "Expected `object`" in result.expected


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TaskExample(task="infer", right=()), "no request"),
        (lambda: Example(launch={}, tasks=(TaskExample(task="infer", right=({},)),)), "model_name"),
        (lambda: ModelType(name="t", examples=(flexible.REPEAT,)), "no own task"),
    ],
)
def test_examples_that_make_no_sense_are_refused(make: Any, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        make()
