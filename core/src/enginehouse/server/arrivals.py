"""What comes in from a client: headers that matter to the relay, the body within its limit, the model it names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from starlette.types import Receive

from ..sdk import BadRequest, NotAllowed, TooLarge

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(rb"[\x20-\x7e]{1,512}")


class ClientGone(Exception):
    """The client closed its connection: nobody waits for an answer."""


class Addressed(msgspec.Struct):
    """The fields of a body that the gateway reads. request_id: text, where it is right; workers refuse it else."""

    model: str
    request_id: Any = None


class Heading(NamedTuple):
    """Of a request's headers. length: of the body, None when chunked.

    traceparent, tracestate: where in a trace of its caller it belongs; empty for nowhere. Source: Trace Context, W3C.
    """

    request_id: bytes
    length: int | None
    traceparent: bytes = b""
    tracestate: bytes = b""


_addressed = msgspec.json.Decoder(Addressed)


def read_heading(headers: Iterable[tuple[bytes, bytes]]) -> Heading:
    """The request's id is the client's own where it is a printable word, else a new one."""
    request_id, length = b"", None
    traceparent = tracestate = b""
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"content-length":
            length = int(value)
        elif name == b"traceparent" and _TRACEPARENT.fullmatch(value):
            traceparent = value
        elif name == b"tracestate" and _TRACESTATE.fullmatch(value):
            tracestate = value
    if not request_id or not _REQUEST_ID.fullmatch(request_id):
        request_id = os.urandom(12).hex().encode()
    return Heading(request_id, length, traceparent, tracestate)


def refuse_foreign_page(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises NotAllowed for a browser that acts for another site's page; only browsers send this header.

    Without it any page a user visits could launch models on their machine. Source: Fetch Metadata, W3C.
    """
    for name, value in headers:
        if name == b"sec-fetch-site" and value in (b"cross-site", b"same-site"):
            raise NotAllowed("A page of another site may not use this server through a browser.")


async def read_body(receive: Receive, length: int | None, limit: int) -> bytes:
    """The whole body. Raises TooLarge, before reading where its length is declared, and ClientGone."""
    if length is not None and length > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join((*pieces, piece)) if pieces else piece
        pieces.append(piece)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body of this request is larger than {limit} bytes. Send less, or start the server with a larger "
        "ENGINEHOUSE_BODY_BYTES."
    )


def rename(heading: Heading, request_id: Any) -> Heading:
    """The heading with the id that the body names, where it would fit into a header."""
    if isinstance(request_id, str) and request_id.isascii() and _REQUEST_ID.fullmatch(request_id.encode()):
        return heading._replace(request_id=request_id.encode())
    return heading


def read_address(body: bytes) -> Addressed:
    """Whom a JSON body is addressed to. Raises BadRequest that says where and what is wrong."""
    try:
        return _addressed.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"The body must be a JSON object whose `model` is the uid of a model, as text: {error}.", param="model"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
