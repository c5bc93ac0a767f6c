"""What is told of a load, however it ends."""

import asyncio

import pytest

from enginehouse.host.loads import Load, Loads, Phase, Subject

SUBJECT = Subject("m", 0, "fake", 0)


def listened() -> tuple[Loads, list[Load]]:
    loads, told = Loads(), []
    loads.tell = told.append
    return loads, told


def test_a_load_tells_its_phases_in_order_and_is_counted() -> None:
    loads, told = listened()
    loads.planned = Phase("plan", 1.0, 2.0)
    with loads.attempt(SUBJECT) as attempt:
        for name in ("weights", "load"):
            with attempt.phase(name):
                pass
    (load,) = told
    assert [phase.name for phase in load.phases] == ["plan", "weights", "load"]
    assert (load.outcome, load.error, load.began, load.subject) == ("ready", None, 1.0, SUBJECT)
    assert load.ended >= load.phases[-1].ended >= load.phases[-1].began > 2.0
    assert sum(loads.buckets) == 1
    with loads.attempt(SUBJECT):
        pass
    assert told[1].phases == ()  # planned once, told once


@pytest.mark.parametrize(("raised", "outcome"), [(ValueError("no"), "failed"), (asyncio.CancelledError(), "cancelled")])
def test_a_load_that_ends_early_tells_how_far_it_came(raised: BaseException, outcome: str) -> None:
    loads, told = listened()
    with pytest.raises(type(raised)):
        with loads.attempt(SUBJECT) as attempt, attempt.phase("weights"):
            raise raised
    (load,) = told
    assert load.outcome == outcome and [phase.name for phase in load.phases] == ["weights"]
    assert load.error == ("no" if outcome == "failed" else None)
    assert sum(loads.buckets) == 0
