"""Many callers, callers who leave, callers who are slow."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from ..waiting import wait_for
from .check import Failed, check, every
from .late import Late
from .speaking import COMPLETIONS, Said
from .stage import Facts, Stage, can, counts, is_silent, seconds_of

generates = can("generate")
LONG = 300  # tokens of an answer that is left, or read slowly
CALLERS = 8
GRACE_TOKENS = 16  # of an answer nobody reads any more: several steps of any batch
GRACE_SECONDS = 1.0  # for the news to travel, on a busy machine
GONE_SECONDS = 30.0  # beyond which the worker is stuck, rather than slow
SLOW_SECONDS = 0.5  # a reader that pauses so long has filled every buffer between


def _counts(facts: Facts) -> bool:
    return facts.counts and generates(facts)


def _long(stage: Stage, **fields: Any) -> dict[str, Any]:
    limit = stage.facts.context_length or 2 * LONG
    return stage.worker.completion(max_tokens=min(LONG, limit // 2), ignore_eos=True, **fields)


def _until_idle(stage: Stage) -> float:
    """Seconds until no request is in flight."""
    begun = time.monotonic()
    wait_for(lambda: stage.in_flight() == 0, GONE_SECONDS, "the end of a request whose caller has left")
    return time.monotonic() - begun


@check("bronze", "Callers at the same time get the answers that each would get alone.", generates)
def callers_do_not_mix(stage: Stage) -> None:
    prompts = [f"{number} and {number} make" for number in range(CALLERS)]
    alone = [stage.worker.complete(prompt).ok().content for prompt in prompts]
    with ThreadPoolExecutor(CALLERS) as pool:
        for said, wanted in zip(pool.map(stage.worker.complete, prompts), alone, strict=True):
            said.ok().must(said.content == wanted, f"the text {wanted!r}")


@check("silver", "Streams at the same time are each whole.", generates)
def streams_do_not_mix(stage: Stage) -> None:
    prompts = [f"{number} and {number} make" for number in range(CALLERS)]
    alone = [stage.worker.complete(prompt).ok().content for prompt in prompts]

    def stream(prompt: str) -> Said:
        return stage.worker.complete(prompt, stream=True)

    with ThreadPoolExecutor(CALLERS) as pool:
        for said, wanted in zip(pool.map(stream, prompts), alone, strict=True):
            said.ok().must(said.streamed() == wanted, f"the text {wanted!r}")


@check("gold", "More callers than a batch holds wait for a turn: none is lost, none refused.", generates)
def many_callers_wait(stage: Stage) -> None:
    def ask(number: int) -> Said:
        return stage.worker.complete(f"Number {number}:", max_tokens=4)

    with ThreadPoolExecutor(48) as pool:
        for said in pool.map(ask, range(96)):
            said.ok()


@check("silver", "A short answer does not wait for a long one to end.", generates)
def short_ones_are_not_starved(stage: Stage) -> None:
    whole = seconds_of(lambda: stage.worker.post(COMPLETIONS, _long(stage)).ok())
    with stage.worker.opened(COMPLETIONS, _long(stage, stream=True)) as answer:
        next(answer.iter_raw())
        took = seconds_of(lambda: stage.worker.complete(max_tokens=1).ok())
    bound = max(whole * 0.8, GRACE_SECONDS)
    if took > bound:
        raise Failed("one token beside a long answer", f"it took {took:.2f} s", f"under {bound:.2f} s")


@check("bronze", "A caller who leaves a stream frees its place.", _counts)
def leaving_a_stream_frees_its_place(stage: Stage) -> None:
    with stage.idle().worker.opened(COMPLETIONS, _long(stage, stream=True)) as answer:
        next(answer.iter_raw())
    _until_idle(stage)


@check("silver", "A caller who leaves frees its place within a few tokens.", _counts)
def leaving_is_noticed_soon(stage: Stage) -> None:
    whole = seconds_of(lambda: stage.worker.post(COMPLETIONS, _long(stage)).ok())
    token = whole / _long(stage)["max_tokens"]
    with stage.idle().worker.opened(COMPLETIONS, _long(stage, stream=True)) as answer:
        next(answer.iter_raw())
    took = _until_idle(stage)
    bound = GRACE_TOKENS * token + GRACE_SECONDS
    if took > bound:
        raise Failed("a stream that was left", f"in flight for {took:.2f} s more", f"at most {bound:.2f} s")


@check("silver", "A caller who leaves before its answer in one piece frees its place.", _counts)
def leaving_an_answer_frees_its_place(stage: Stage) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(stage.house.socket(stage.uid))
        body = json.dumps(_long(stage)).encode()
        head = f"POST {COMPLETIONS} HTTP/1.1\r\nhost: worker\r\ncontent-type: application/json\r\n"
        line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    _until_idle(stage)


@check("silver", "A caller who leaves before all of its request has come frees its place.", every(counts, is_silent))
def leaving_early_frees_its_place(stage: Stage) -> None:
    late = Late(stage.idle(), *stage.a_request())
    wait_for(lambda: stage.in_flight() == 1, GONE_SECONDS, "a request in flight")
    late.leave()
    _until_idle(stage)


@check("gold", "Fifty callers who leave do no harm: the next is answered as ever.", _counts)
def leaving_often_does_no_harm(stage: Stage) -> None:
    wanted = stage.worker.complete().ok().content

    def leave(number: int) -> None:
        with stage.worker.opened(COMPLETIONS, _long(stage, stream=True, seed=number)) as answer:
            next(answer.iter_raw())

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(leave, range(50)))
    _until_idle(stage)
    said = stage.worker.complete().ok()
    said.must(said.content == wanted, f"the text {wanted!r}")


@check("silver", "A reader that is slow gets all of its stream.", generates)
def slow_readers_get_everything(stage: Stage) -> None:
    wanted = stage.worker.post(COMPLETIONS, _long(stage)).ok().content
    said = _read_slowly(stage)
    said.must(said.streamed() == wanted, "the text of the answer in one piece")


@check("gold", "A reader that is slow holds nobody else up.", generates)
def slow_readers_hold_nobody_up(stage: Stage) -> None:
    slow = threading.Thread(target=_read_slowly, args=(stage,))
    slow.start()
    try:
        took = seconds_of(lambda: stage.worker.complete(max_tokens=2).ok())
    finally:
        slow.join(GONE_SECONDS)
    if took > GONE_SECONDS / 2:
        raise Failed("a short answer beside a slow reader", f"it took {took:.1f} s", "an answer meanwhile")


def _read_slowly(stage: Stage) -> Said:
    body = _long(stage, stream=True)
    text: list[bytes] = []
    with stage.worker.opened(COMPLETIONS, body) as answer:
        for part in answer.iter_raw(4096):
            if not text:
                time.sleep(SLOW_SECONDS)  # what is looked at is a reader that does not read for a while
            text.append(part)
    return Said(f"POST {COMPLETIONS} {json.dumps(body)}", answer.status_code, answer.headers, b"".join(text).decode())


@check("gold", "A request in pieces, or with its body late, is read whole.")
def bodies_may_come_late(stage: Stage) -> None:
    path, body = stage.a_request()
    data = json.dumps(body).encode()

    def parts() -> Any:
        yield data[: len(data) // 2]
        time.sleep(0.05)  # so that it does not come in one read
        yield data[len(data) // 2 :]

    answer = stage.worker.client.post(path, content=parts(), headers={"content-type": "application/json"})
    Said(f"POST {path} in two chunks", answer.status_code, answer.headers, answer.text).ok()


@check("silver", "A connection serves one request after another.")
def connections_are_kept(stage: Stage) -> None:
    path, body = stage.a_request()
    transport = httpx.HTTPTransport(uds=stage.house.socket(stage.uid), limits=httpx.Limits(max_connections=1))
    with httpx.Client(transport=transport, base_url="http://worker", timeout=60) as client:
        for _ in range(3):
            answer = client.post(path, json=body)
            Said(f"POST {path} on one connection", answer.status_code, answer.headers, answer.text).ok()
