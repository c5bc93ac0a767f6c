"""Tasks that a model type's plugin brings, asked what the type's example says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from ...sdk import Task
from ..waiting import wait_for
from .check import Failed, check
from .speaking import Said
from .stage import Facts, Stage, is_own, seconds_of

CALLERS = 8
GRACE_SECONDS = 1.0  # for the news to travel, on a busy machine
GONE_SECONDS = 30.0  # beyond which the worker is stuck, rather than slow


def _streams(facts: Facts) -> bool:
    return any(task.chunk for task, _ in facts.asked)


def _lasts(facts: Facts) -> bool:
    return facts.counts and any(example.lasting is not None for _, example in facts.asked)


def _right(stage: Stage) -> Iterator[tuple[Task, dict[str, Any]]]:
    for task, example in stage.facts.asked:
        for body in example.right:
            yield task, stage.filled(body)


def _lasting(stage: Stage) -> tuple[Task, dict[str, Any]]:
    task, body = next((task, one.lasting) for task, one in stage.facts.asked if one.lasting is not None)
    return task, {**stage.filled(body), **({"stream": True} if task.chunk else {})}


def _readable(said: Said, text: str, kind: Any) -> None:
    try:
        msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise Failed(said.sent, text, f"what the task says that it answers; {error}") from error


@check("bronze", "Each request of the example is answered with what its task says that it answers.", is_own)
def examples_are_answered(stage: Stage) -> None:
    for task, body in _right(stage):
        said = stage.worker.post(task.route, body).ok()
        said.json()
        _readable(said, said.text, task.answer)


@check("bronze", "Each request of the example is answered the same when it is asked again.", is_own)
def answers_repeat(stage: Stage) -> None:
    for task, body in _right(stage):
        wanted = stage.worker.post(task.route, body).ok().text
        said = stage.worker.post(task.route, body).ok()
        said.must(said.text == wanted, wanted)


@check("bronze", "Callers at the same time get the answers that each would get alone.", is_own)
def callers_do_not_mix(stage: Stage) -> None:
    asked = [(task.route, body) for task, body in _right(stage)] * CALLERS
    alone = [stage.worker.post(*one).ok().text for one in asked]
    with ThreadPoolExecutor(CALLERS) as pool:
        for said, wanted in zip(pool.map(lambda one: stage.worker.post(*one), asked), alone, strict=True):
            said.ok().must(said.text == wanted, wanted)


@check("bronze", "What the example says is wrong is refused with 400, by the worker and through the gateway.", is_own)
def wrong_requests_are_refused(stage: Stage) -> None:
    for task, example in stage.facts.asked:
        for body in example.wrong:
            said = stage.worker.post(task.route, stage.filled(body)).refused()
            stage.gateway.post(task.route, stage.filled(body)).refused(code=said.json()["error"]["code"])


@check(
    "silver", "A stream is events of JSON, each what the task says, with [DONE] at its end where it says so.", _streams
)
def streams_are_events(stage: Stage) -> None:
    for task, body in _right(stage):
        if task.chunk is not None:
            said = stage.worker.post(task.route, {**body, "stream": True}).ok()
            for event in said.events():
                _readable(said, json.dumps(event), task.chunk)
            done = "data: [DONE]" in said.text
            said.must(done == task.ends_with_done, f"{'a' if task.ends_with_done else 'no'} [DONE] at the end")


@check("silver", "The gateway passes such a stream on as it is.", _streams)
def streams_are_the_same(stage: Stage) -> None:
    for task, body in _right(stage):
        if task.chunk is not None:
            wanted = stage.worker.post(task.route, {**body, "stream": True}).ok().events()
            said = stage.gateway.post(task.route, {**body, "stream": True}).ok()
            said.must(said.events() == wanted, f"the events {wanted}")


@check("silver", "A caller who leaves an answer that lasts frees its place before it would have ended.", _lasts)
def leaving_frees_its_place(stage: Stage) -> None:
    task, body = _lasting(stage)
    whole = seconds_of(lambda: stage.worker.post(task.route, body).ok())
    with stage.idle().worker.opened(task.route, body) as answer:
        next(answer.iter_raw())
    took = seconds_of(lambda: wait_for(lambda: stage.in_flight() == 0, GONE_SECONDS, "the place to be free"))
    bound = whole / 2 + GRACE_SECONDS
    if took > bound:
        raise Failed("an answer that was left", f"in flight for {took:.2f} s more", f"at most {bound:.2f} s")


@check("silver", "A short request does not fail while one that lasts is answered.", _lasts)
def short_ones_are_answered_beside(stage: Stage) -> None:
    task, body = _lasting(stage)
    with stage.worker.opened(task.route, body) as answer:
        parts = answer.iter_raw()
        first = next(parts)
        with ThreadPoolExecutor(1) as pool:
            short = pool.submit(stage.worker.post, *stage.a_request())
            text = b"".join([first, *parts]).decode()
        short.result().ok()
    Said(f"POST {task.route} {body}", answer.status_code, answer.headers, text).ok()
