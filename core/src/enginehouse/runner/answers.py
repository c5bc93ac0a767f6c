"""What an answer is, seen by what writes it: see `Answer`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from ..sdk import TokenLogprob, Usage
from .calls import Method

LEAST_LOGPROB = -9999.0  # JSON has no infinity; OpenAI's API says this instead


class Answer(Protocol):
    """One answer being made from the items of its calls.

    Streaming, `opening`, `take`, `end` and `closing` give the bytes of events; else only `closing` gives
    bytes, the whole body. `is_done(index)` says that a call may be stopped: its answer is complete.
    """

    stream: bool
    method: Method
    requests: Sequence[Any]

    def opening(self) -> bytes: ...

    def take(self, index: int, item: object) -> bytes: ...

    def end(self, index: int) -> bytes: ...

    def is_done(self, index: int) -> bool: ...

    def closing(self) -> bytes: ...

    def usage(self) -> Usage: ...


class WholeAnswer:
    """What answers share that one call makes, and that no event opens or ends."""

    stream = False

    def opening(self) -> bytes:
        return b""

    def end(self, index: int) -> bytes:
        return b""

    def is_done(self, index: int) -> bool:
        return False


class Heading(msgspec.Struct, frozen=True):
    """What every event of one answer begins with."""

    id: str
    model: str
    created: int


def heading_of(prefix: str, request_id: str, model: str) -> Heading:
    return Heading(f"{prefix}-{request_id}", model, int(time.time()))


def bounded(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)


def utf8(text: str) -> list[int]:
    return list(text.encode("utf-8", "replace"))


def usage_of(prompt_tokens: int, completion_tokens: int) -> Usage:
    return Usage(prompt_tokens, completion_tokens, prompt_tokens + completion_tokens)


Logprobs = tuple[TokenLogprob, ...]
