"""Foreign code in a line: each step has its time, and one that hangs keeps nobody else."""

from __future__ import annotations

import threading
import time

from enginehouse.host.time_limit import Steps, TookTooLong, each_within


def test_each_is_called_in_order() -> None:
    assert each_within(5, [lambda steps, number=number: number for number in range(5)]) == [0, 1, 2, 3, 4]
    assert each_within(5, []) == []


def test_after_one_that_hangs_the_rest_is_called() -> None:
    hold = threading.Event()
    try:
        outcomes = each_within(0.2, [lambda steps: "a", lambda steps: hold.wait(20), lambda steps: "c"])
    finally:
        hold.set()
    assert outcomes[0] == "a" and outcomes[2] == "c"
    assert isinstance(outcomes[1], TookTooLong) and "still running after 0.2 s" in str(outcomes[1])


def test_every_step_has_a_time_of_its_own() -> None:
    def slow(steps: Steps) -> str:
        for _ in range(4):
            time.sleep(0.2)
            steps.next()
        return "done"

    assert each_within(0.6, [slow]) == ["done"]


def test_what_hung_and_wakes_up_changes_nothing() -> None:
    hold, woke, called = threading.Event(), threading.Event(), []

    def hangs(steps: Steps) -> str:
        hold.wait(20)
        woke.set()
        return "late"

    outcomes = each_within(0.1, [hangs, lambda steps: called.append(1) or "b"])
    hold.set()
    assert woke.wait(10)
    assert outcomes[1] == "b" and isinstance(outcomes[0], TookTooLong) and called == [1]
