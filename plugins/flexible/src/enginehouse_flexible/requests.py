"""The body of `POST /v1/flexible/infers`."""

from __future__ import annotations

from typing import Any

import msgspec


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the model's `infer` is called with. args: in their order; rest: by name, all keys that are not named here.

    stream: answer with an event for each value, where `infer` gives several.
    """

    model: str
    args: list[Any] | None = None
    stream: bool | None = None
    request_id: str | None = None
    rest: dict[str, Any] = {}


class InferEvent(msgspec.Struct, frozen=True):
    """One event of a stream: whatever `infer` gave."""

    value: Any
