"""The worker's order: what the host writes into a worker's folder, and what keeper and runner read there.

A worker's folder (0700) holds, beside the two sockets where they fit:
  order.json      WorkerOrder, written by the host before the keeper starts (0600: it holds the token)
  worker.log(.1)  what the worker printed, kept by the keeper within `log_bytes`
  failure.json    Failure, written by the runner when loading failed
  exit.json       ExitRecord, written by the keeper at the very end
  plan.json       whose worker it is, for a server whose database was lost
  keeper.err      what a keeper printed that could not even start

The keeper's control socket speaks lines of JSON. The host sends {"do": "claim", "token": ...},
{"do": "renew"} and {"do": "stop", "grace": seconds}; the keeper sends {"event": "hello", "worker_id",
"keeper_pid", "worker_pid", "started_at"} after a claim with the right token, {"event": "refused"} after one
with a wrong token, and {"event": "exited", "exit": ExitRecord} before it ends. End-of-file without "exited"
means that the keeper itself died.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

USAGE_HEADER = b"x-enginehouse-usage"
"""In a request: state what it used. In an answer in one piece: "<tokens read> <tokens generated>", and, where they
are known, microseconds: from the request's arrival until the engine was asked, from then to the first piece."""

USAGE_COMMENT = b": usage "
"""Begins the comment after the last event of a stream that was asked so; the same numbers follow."""


LAST_WORDS = 3  # lines of a worker's output that tell how it ended
_TOLD = {
    "stopped": "It was stopped.",
    "lease": "Its lease ran out: no server renewed it.",
    "unclaimed": "No server claimed it.",
}


class TaskOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A task that a plugin brings, as the runner needs it. request: "module:name" of the struct of its body."""

    name: str
    route: str
    request: str
    ends_with_done: bool = True


class RunnerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the runner needs to host a Python engine. Targets are "module:name"."""

    engine: str
    options: str
    tasks: tuple[str, ...]
    model_path: str
    device: str
    engine_name: str = ""
    option_values: dict[str, Any] = {}
    context_length: int | None = None
    abilities: tuple[str, ...] = ()
    chat_template: str | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    enable_thinking: bool | None = None
    trust_remote_code: bool = False
    completions_done: bool = False
    queue_length: int = 1024
    own_tasks: tuple[TaskOrder, ...] = ()
    facts: dict[str, Any] = {}
    launcher: str | None = None
    may_sleep: bool = False


class WorkerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: what to start, where it listens, how long it may live unattended.

    argv: the worker's command. environment: variables added to the server's own.
    lease_seconds: unrenewed for so long, the worker drains and leaves. claim_seconds: likewise when nobody
    claims it at all after its start. drain_seconds: for running requests to end after SIGTERM, before SIGKILL.
    """

    worker_id: str
    model_uid: str
    token: str
    folder: str
    socket: str
    control: str
    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    lease_seconds: float = 600.0
    claim_seconds: float = 30.0
    drain_seconds: float = 30.0
    log_bytes: int = 10_000_000
    health: str = "/health"
    runner: RunnerOrder | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a worker could not load. message: for the user; detail: the traceback."""

    code: str
    message: str
    detail: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a worker's `GET /health`: 200 when ready, 503 else. progress: 0 to 1 while loading.

    in_flight: requests being answered or waiting now. context_length: tokens, what the engine found out.
    can_sleep: `POST /sleep` makes it give its device's memory back and be asleep, `POST /wake` makes it ready again;
    each answers 200 when that is done, else with an error, and then the worker is of no use any more.
    """

    state: Literal["loading", "ready", "draining", "failed", "asleep"]
    progress: float = 0.0
    stage: str = ""
    in_flight: int = 0
    context_length: int | None = None
    can_sleep: bool = False


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker ended.

    cause: "stopped" on request, "lease" nobody renewed it, "unclaimed" nobody claimed it, "exited" by itself,
    "not started" when its command could not be run. code: exit status, or None when a signal ended it.
    """

    cause: Literal["stopped", "lease", "unclaimed", "exited", "not started"]
    code: int | None = None
    signal: str | None = None
    failure: Failure | None = None
    log_tail: tuple[str, ...] = ()
    at: float = 0.0

    def tell(self) -> str:
        """One sentence for people."""
        if self.failure:
            return self.failure.message
        if self.cause in _TOLD:
            return _TOLD[self.cause]
        how = f"was ended by {self.signal}" if self.signal else f"ended by itself with status {self.code}"
        tail = [line for line in self.log_tail if line.strip()][-LAST_WORDS:]
        return f"The worker {how}." + (f" It last said: {' | '.join(tail)}" if tail else "")
