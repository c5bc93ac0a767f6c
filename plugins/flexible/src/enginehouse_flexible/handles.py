"""The calls of flexible models; the client makes handles of them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from enginehouse.client.call import UNBOUNDED, Call, as_is

ROUTE = "/v1/flexible/infers"


class Flexible:
    """A running model of a launcher's own kind."""

    @staticmethod
    def infer(model_uid: str, /, *args: Any, **kwargs: Any) -> Call[Any]:
        """What the model makes of these arguments. Bytes and paths of files go as base64; with stream=True an iterator
        of the values that it gives, one by one."""
        values = [_sendable(value) for value in args]
        named = {name: _sendable(value) for name, value in kwargs.items()}
        return Call(
            action="infer with the model",
            method="POST",
            path=ROUTE,
            body={"model": model_uid, "args": values, **named},
            read_seconds=UNBOUNDED,
            decode=as_is,
            streams=bool(kwargs.get("stream")),
        )


def _sendable(value: Any) -> Any:
    if isinstance(value, Path):
        value = value.read_bytes()
    return b64encode(value).decode() if isinstance(value, bytes | bytearray) else value
