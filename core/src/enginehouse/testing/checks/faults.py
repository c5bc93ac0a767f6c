"""What breaks, breaks alone: each check ends or kills the worker, and the model is there again afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx

from ..houses import keepers_of
from ..waiting import alive, wait_for
from .check import Unclear, check, every, require
from .late import Late
from .speaking import COMPLETIONS, Said
from .stage import READY_SECONDS, Stage, can, counts, is_silent

generates = can("generate")
GONE_SECONDS = 45.0  # of a process that drains: 30 s at most, and its end
LONG = 300
GROWTH_BYTES = 64 * 2**20  # that a process may keep of what it was asked: caches and pools
ROUNDS = 40


def _worker_pid(stage: Stage) -> int:
    return stage.house.pid(stage.uid)


def _is_gone(pid: int) -> None:
    wait_for(lambda: not alive(pid), GONE_SECONDS, f"the end of process {pid}")


def _again(stage: Stage, old: int) -> None:
    """Waits until another process runs the model."""
    wait_for(lambda: _other(stage, old), READY_SECONDS, "a new worker")
    stage.renew()


def _other(stage: Stage, old: int) -> bool:
    return any(one["status"] == "READY" and one["pid"] not in (None, old) for one in stage.house.replicas(stage.uid))


def _answers(stage: Stage) -> None:
    path, body = stage.a_request()
    stage.worker.post(path, body).ok()
    stage.gateway.post(path, body).ok()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@check("gold", "Memory does not grow with requests.")
def memory_does_not_grow(stage: Stage) -> None:
    if not Path("/proc").is_dir():
        raise Unclear("this system does not tell what a process takes")
    path, body = stage.a_request()
    pid = _worker_pid(stage)
    for _ in range(ROUNDS):
        stage.worker.post(path, body).ok()
    before = _resident(pid)
    for _ in range(ROUNDS):
        stage.worker.post(path, body).ok()
    grown = _resident(pid) - before
    require(grown < GROWTH_BYTES, f"{ROUNDS} requests", f"{grown >> 20} MiB more", f"under {GROWTH_BYTES >> 20} MiB")


@check("bronze", "A worker that is killed is replaced, and the model answers again.")
def killed_workers_are_replaced(stage: Stage) -> None:
    pid = _worker_pid(stage)
    os.kill(pid, signal.SIGKILL)
    _again(stage, pid)
    _answers(stage)


@check("silver", "A worker killed as by a kernel out of memory is replaced, and the events tell the signal.")
def death_is_told(stage: Stage) -> None:
    path = f"/v1/models/{stage.uid}/events"
    if "SIGKILL" not in stage.gateway.get(path).text:  # no other check has killed it: loading takes long
        killed_workers_are_replaced.run(stage)
    said = stage.gateway.get(path).ok()
    said.must("SIGKILL" in said.text, "an event that names SIGKILL")


@check("silver", "A stream whose worker dies ends with an event that says so.", generates)
def broken_streams_say_so(stage: Stage) -> None:
    """Stopped before, so that it dies in mid-stream however quick it is."""
    pid = _worker_pid(stage)
    body = stage.worker.completion(max_tokens=LONG, ignore_eos=True, stream=True)
    with stage.gateway.opened(COMPLETIONS, body) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        os.kill(pid, signal.SIGKILL)
        text = "\n".join([first, *lines])
    _again(stage, pid)
    said = Said(f"POST {COMPLETIONS}, its worker killed", answer.status_code, answer.headers, text)
    ended = said.events()[-1]
    whole = any(piece.get("finish_reason") for piece in said.pieces())
    said.must(whole or "error" in ended, "an error event at the end, or the whole answer")


@check("silver", "SIGTERM drains: what runs ends, and the worker leaves with status 0.", generates)
def sigterm_drains(stage: Stage) -> None:
    pid, path = _worker_pid(stage), stage.house.socket(stage.uid)
    limit = min(LONG, (stage.facts.context_length or 2 * LONG) // 2)
    body = stage.worker.completion(max_tokens=limit, ignore_eos=True, stream=True)
    with stage.worker.opened(COMPLETIONS, body) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        os.kill(pid, signal.SIGTERM)
        text = "\n".join([first, *lines])
    said = Said(f"POST {COMPLETIONS}, SIGTERM meanwhile", answer.status_code, answer.headers, text)
    said.must(any(piece.get("finish_reason") for piece in said.pieces()), "the whole answer, finish_reason and all")
    _leaves_nothing(pid, path)
    _again(stage, pid)
    events = stage.gateway.get(f"/v1/models/{stage.uid}/events").ok()
    events.must("SIGTERM" not in events.text, "no word of SIGTERM: the worker left by itself")


def _leaves_nothing(pid: int, socket: str) -> None:
    """Where the worker leaves its socket behind the server clears it away."""
    _is_gone(pid)
    wait_for(lambda: not Path(socket).exists(), GONE_SECONDS, f"the end of {socket}")


@check("silver", "SIGTERM drains: a request that came before is answered.", every(counts, is_silent))
def sigterm_waits_for_answers(stage: Stage) -> None:
    pid, path = _worker_pid(stage), stage.house.socket(stage.uid)
    late = Late(stage.idle(), *stage.a_request())
    wait_for(lambda: stage.in_flight() == 1, GONE_SECONDS, "a request in flight")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: _is_draining(stage), GONE_SECONDS, "the worker to drain")
    late.end().ok()
    _leaves_nothing(pid, path)
    _again(stage, pid)


def _is_draining(stage: Stage) -> bool:
    return stage.worker.get("/health").status == 503


@check("silver", "A worker that is told to leave while idle is gone soon, and its socket with it.", is_silent)
def sigterm_ends_idle_workers(stage: Stage) -> None:
    pid, path = _worker_pid(stage), stage.house.socket(stage.uid)
    os.kill(pid, signal.SIGTERM)
    _leaves_nothing(pid, path)
    _again(stage, pid)
    _answers(stage)


@check("gold", "A worker whose keeper dies leaves, too: nothing runs unattended.")
def orphans_leave(stage: Stage) -> None:
    keepers = keepers_of(stage.house.home)
    pid = _worker_pid(stage)
    for keeper in keepers:
        os.kill(keeper, signal.SIGKILL)
    _is_gone(pid)
    _again(stage, pid)
    _answers(stage)


@check("bronze", "Unloading ends the process and all that it started.")
def unloading_leaves_nothing(stage: Stage) -> None:
    pid = _worker_pid(stage)
    group = os.getpgid(pid)
    said = stage.house.client.delete(f"/v1/models/{stage.uid}")
    require(said.status_code == 200, f"DELETE /v1/models/{stage.uid}", said.text, "status 200")
    _is_gone(pid)
    wait_for(lambda: not _members(group), GONE_SECONDS, f"the end of process group {group}")


def _members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@check("bronze", "A model that was unloaded loads again, and answers as before.")
def loads_again(stage: Stage) -> None:
    answer: httpx.Response = stage.house.client.post("/v1/models", json=stage.launch)
    require(answer.status_code == 200, f"POST /v1/models {stage.launch}", answer.text, "status 200")
    stage.renew()
    _answers(stage)


@check("silver", "An order without weights fails with a message, and does not hang.")
def missing_weights_are_told(stage: Stage) -> None:
    body: dict[str, Any] = {**stage.launch, "model_uid": "weightless", "model_path": "/no/such/folder/of/weights"}
    said = stage.gateway.post("/v1/models", body)
    said.must(said.status >= 400 and said.json().get("error", {}).get("message"), "an error with a message")
