"""The kit finds queues without an end, refusals that say nothing, and requests that are lost when many come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from enginehouse.builtin import plugin as builtin
from enginehouse.testing.checks import pressure
from enginehouse.testing.checks.check import Check
from enginehouse.testing.checks.stage import Stage
from enginehouse.testing.houses import House
from enginehouse.testing.reports import Result, run_check
from enginehouse_fake import plugin as fake

(SPEC,) = fake.enginehouse_engines()
LLM = next(kind for kind in builtin.enginehouse_model_types() if kind.name == "LLM")


@pytest.fixture(scope="module")
def boundless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server whose workers take more at once than the kit tells them to."""
    house = House(tmp_path_factory.mktemp("boundless") / "h")
    yield house.start()
    house.end()


def look(house: House, check: Check, uid: str, **options: Any) -> Result:
    launch: dict[str, Any] = {"model_name": "fake-model", "model_uid": uid, **options}
    house.launch(**{"name" if key == "model_name" else key: value for key, value in launch.items()})
    stage = Stage(house, launch, SPEC, LLM)
    try:
        return run_check(check, stage)
    finally:
        stage.close()


def test_a_worker_that_takes_whatever_comes_is_found(boundless: House) -> None:
    result = look(boundless, pressure.full_workers_refuse, "takes-all")
    assert result.state == "failed" and (result.expected, result.came[:3]) == ("status 429", "200")


def test_an_engine_that_loses_requests_when_many_come_is_found(boundless: House) -> None:
    options = {"at_once": 8, "first_token_seconds": 0.5}
    result = look(boundless, pressure.what_was_taken_is_answered, "loses", **options)
    assert result.state == "failed" and (result.expected, result.came[:3]) == ("status 200", "500")


def test_a_model_whose_waiting_requests_fail_is_found(boundless: House) -> None:
    result = look(boundless, pressure.full_queues_refuse, "fails", crash_at_request=2)
    assert result.state == "failed" and (result.expected, result.came[:3]) == ("status 200", "503")


def test_a_right_engine_is_told_from_them(boundless: House) -> None:
    for check in (pressure.what_was_taken_is_answered, pressure.full_queues_refuse):
        assert look(boundless, check, check.name.replace(".", "-")).state == "passed"
