"""Workers that authors of plugins test with: real keepers and runners, scripted engines."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from enginehouse.testing.waiting import alive

Simulate = Callable[..., Any]


def test_a_simulated_worker_answers_as_its_script_says(simulated_worker: Simulate) -> None:
    worker = simulated_worker(tokens=3)
    assert worker.complete().json()["choices"][0]["text"] == "word0 word1 word2 "
    assert worker.chat("hello").json()["usage"]["completion_tokens"] == 3
    assert worker.health()["state"] == "ready" and "enginehouse_worker_requests_total" in worker.metrics()


def test_a_worker_that_is_stopped_says_how_it_ended(simulated_worker: Simulate) -> None:
    worker = simulated_worker()
    record = worker.stop()
    assert (record.cause, record.code) == ("stopped", 0)
    assert not alive(worker.pid)


@pytest.mark.parametrize(
    ("script", "code", "by"),
    [({"crash_at_token": 2}, 3, None), ({"oom_at_token": 2}, None, "SIGKILL")],
    ids=["crash", "out of memory"],
)
def test_a_script_may_end_the_worker(simulated_worker: Simulate, script: Any, code: int | None, by: str | None) -> None:
    worker = simulated_worker(tokens=5, **script)
    with pytest.raises(httpx.TransportError):
        worker.complete()
    record = worker.exit()
    assert (record.cause, record.code, record.signal) == ("exited", code, by)


def test_a_worker_that_cannot_load_says_why(simulated_worker: Simulate) -> None:
    worker = simulated_worker(load_crash="raise", wait=False)
    record = worker.exit()
    assert record.failure is not None and "failed to load" in record.failure.message


def test_nothing_is_left_of_a_worker(simulated_worker: Simulate) -> None:
    worker = simulated_worker(ignore_sigterm=True)
    worker.stop(grace=0.1)
    worker.end()
    assert not alive(worker.pid) and worker.keeper.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(worker.pid, 0)


async def test_an_engine_is_asked_directly(ask_engine: Callable[..., Any]) -> None:
    from enginehouse.sdk import EngineContext
    from enginehouse_fake.engine import FakeEngine
    from enginehouse_fake.options import FakeOptions

    context = EngineContext(model_uid="m", model_path=__file__, device="cpu", options=FakeOptions(tokens=2))
    answer = await ask_engine(FakeEngine(context), "hi")
    assert (answer.text, answer.tokens, answer.finish_reason) == ("word0 word1 ", 2, "stop")


def test_a_house_launches_and_is_gone_afterwards(house: Any) -> None:
    uid = house.launch("fake-model", tokens=2)
    assert house.complete(uid).json()["choices"][0]["text"] == "word0 word1 "
    pid = house.pid(uid)
    house.end()
    assert not alive(pid)
