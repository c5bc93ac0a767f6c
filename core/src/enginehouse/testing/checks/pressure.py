"""Back-pressure: whoever comes while the queue is full is told so at once, and those that were taken are answered."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from ..waiting import wait_for
from .check import Failed, check, require
from .late import Late
from .speaking import Said
from .stage import Stage, counts, seconds_of

AT_ONCE = 64
"""Requests at once that workers of a certification take: more than `many_callers_wait` sends, few enough to be held."""
IN_FLIGHT = "enginehouse_requests_in_flight"
MORE = 3  # that come when the queue is full
HELD_SECONDS = 20.0  # until so many connections are open and counted, on a busy machine
REFUSAL_SECONDS = 5.0  # a refusal asks no engine; on a busy machine it takes a moment all the same


@check("silver", "A worker that has as many requests as it takes refuses more at once: 429, Retry-After.", counts)
def full_workers_refuse(stage: Stage) -> None:
    with _held(stage.idle()):
        for _ in range(MORE):
            _refuses(stage, stage.worker)
    stage.idle()


@check("gold", "All that a worker takes at once it answers, however many those are.", counts)
def what_was_taken_is_answered(stage: Stage) -> None:
    with _held(stage.idle()) as held, ThreadPoolExecutor(AT_ONCE) as pool:
        for said in pool.map(Late.end, held):
            said.ok()


@check("silver", "Of a model with a limit the gateway lets one wait, and refuses the next at once: 429, Retry-After.")
def full_queues_refuse(stage: Stage) -> None:
    path, body = stage.idle().a_request()
    with _limited(stage), ThreadPoolExecutor(2) as pool:
        with _still(stage):
            taken = [pool.submit(stage.gateway.post, path, body) for _ in range(2)]
            wait_for(lambda: _at_the_gateway(stage) == 2, HELD_SECONDS, "one request in flight and one that waits")
            for _ in range(MORE):
                _refuses(stage, stage.gateway)
            early = [one for one in taken if one.done()]
            require(not early, "two requests, the worker stopped", "an answer", "both to wait")
        for one in taken:
            one.result().ok()
        stage.gateway.post(path, body).ok()


def _refuses(stage: Stage, asked: Any) -> None:
    path, body = stage.a_request()
    said: list[Said] = []
    took = seconds_of(lambda: said.append(asked.post(path, body)))
    came = said[0].refused(429)
    wait = came.headers.get("retry-after", "")
    came.must(wait.isdigit() and int(wait) > 0, f"Retry-After in whole seconds; it was {wait!r}")
    if took > REFUSAL_SECONDS:
        raise Failed(came.sent, f"429 after {took:.1f} s", f"it within {REFUSAL_SECONDS:g} s")


@contextmanager
def _held(stage: Stage) -> Iterator[list[Late]]:
    """As many requests as the worker takes."""
    path, body = stage.a_request()
    with ExitStack() as stack:
        held = []
        for _ in range(AT_ONCE):
            held.append(Late(stage, path, body))
            stack.callback(held[-1].leave)
        wait_for(lambda: stage.in_flight() == AT_ONCE, HELD_SECONDS, f"{AT_ONCE} requests to be in flight")
        yield held


@contextmanager
def _limited(stage: Stage) -> Iterator[None]:
    """One request at once, and one that waits."""
    address = f"/v1/models/{stage.uid}"
    limits: dict[str, int | None] = {"request_limits": 1, "queue_length": 1}
    _patched(stage, address, limits)
    try:
        yield
    finally:
        _patched(stage, address, dict.fromkeys(limits))


def _patched(stage: Stage, address: str, fields: dict[str, Any]) -> None:
    said = stage.house.client.patch(address, json=fields)
    require(said.status_code == 200, f"PATCH {address} {fields}", said.text, "status 200")


@contextmanager
def _still(stage: Stage) -> Iterator[None]:
    """The worker's process stopped, so that no answer comes however quick it is."""
    pid = stage.house.pid(stage.uid)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _at_the_gateway(stage: Stage) -> int:
    """Requests for the model that the gateway has: in flight, or waiting for a turn."""
    lines = stage.house.client.get("/metrics").text.splitlines()
    mine = [line for line in lines if line.startswith(IN_FLIGHT) and f'model="{stage.uid}"' in line]
    return int(sum(float(line.rpartition(" ")[2]) for line in mine))
