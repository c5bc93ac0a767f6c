"""Server-sent events, as OpenAI's streams use them."""

from __future__ import annotations

import msgspec

from ..sdk import EnginehouseError
from ..sdk.errors import to_wire

DONE = b"data: [DONE]\n\n"
CONTENT_TYPE = b"text/event-stream; charset=utf-8"


def event(data: bytes) -> bytes:
    """One event. data: JSON, which never holds a line break."""
    return b"data: " + data + b"\n\n"


def error_event(error: EnginehouseError) -> bytes:
    """The event that ends a stream that failed after its first byte."""
    return b"event: error\ndata: " + msgspec.json.encode(to_wire(error)) + b"\n\n"
