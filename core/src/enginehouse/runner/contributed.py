"""Answers of tasks that plugins bring: what the engine gives, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..sdk import EngineFailed, TaskOrder, Usage
from .answers import WholeAnswer, usage_of
from .hosting import Hosted
from .sse import DONE, event

_encode = msgspec.json.Encoder().encode
_NOTHING = object()


class ContributedAnswer(WholeAnswer):
    """What the engine's method gives: one value, or when the request says `stream` an event for each that it yields."""

    def __init__(self, hosted: Hosted, task: TaskOrder, request: Any) -> None:
        self.stream = bool(getattr(request, "stream", False))
        self.method = hosted.method(task.name)
        self.requests: Sequence[Any] = (request,)
        self._task = task
        self._body: Any = _NOTHING

    def take(self, index: int, item: object) -> bytes:
        data = self._bytes_of(item)
        if self.stream:
            return event(data)
        if self._body is not _NOTHING:
            raise EngineFailed(
                f"The engine's `{self._task.name}` gave several values to a request that does not say `stream`. "
                "Report this to its plugin."
            )
        self._body = data
        return b""

    def closing(self) -> bytes:
        if self.stream:
            return DONE if self._task.ends_with_done else b""
        if self._body is _NOTHING:
            raise EngineFailed(f"The engine's `{self._task.name}` gave no answer. Report this to its plugin.")
        body: bytes = self._body
        return body

    def usage(self) -> Usage:
        return usage_of(0, 0)

    def _bytes_of(self, item: object) -> bytes:
        try:
            return _encode(item)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise EngineFailed(
                f"The engine's `{self._task.name}` gave {type(item).__name__}, which JSON cannot hold: {error}."
            ) from error
