"""The task `embed` on the wire: OpenAI's embeddings, made from the engine's `embed`."""

from __future__ import annotations

import math
import sys
from array import array
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..sdk import BadRequest, EmbeddingRequest, EmbedRequest, EngineFailed, Usage, Vectors
from .answers import WholeAnswer, usage_of
from .hosting import Hosted

Row = bytes | Sequence[float] | dict[str, float]
_encode = msgspec.json.Encoder().encode


class EmbeddingAnswer(WholeAnswer):
    """One caller's vectors, written down piece by piece as the engine gives them."""

    def __init__(self, hosted: Hosted, request: EmbeddingRequest, request_id: str) -> None:
        asked = embed_request_of(request, request_id)
        self.method = hosted.method("embed")
        self.requests: Sequence[Any] = (asked,) if asked.inputs else ()
        self._model = request.model
        self._count = len(asked.inputs)
        self._base64 = request.encoding_format == "base64"
        self._items: list[bytes] = []
        self._read = 0
        self._truncated: list[int] = []

    def take(self, index: int, item: object) -> bytes:
        if not isinstance(item, Vectors):
            raise EngineFailed(
                f"The engine's `embed` gave {type(item).__name__}, not Vectors. Report this to its plugin."
            )
        first = len(self._items)
        self._read += item.prompt_tokens
        self._truncated += [first + position for position in item.truncated]
        for number, row in enumerate(item.rows, first):
            embedding = _encode(self._spelled(row, number))
            self._items.append(b'{"index":%d,"object":"embedding","embedding":%b}' % (number, embedding))
        return b""

    def closing(self) -> bytes:
        if len(self._items) != self._count:
            raise EngineFailed(
                f"The engine gave {len(self._items)} vectors for {self._count} inputs. Report this to its plugin."
            )
        head = b'{"object":"list","model":%b,"data":[' % _encode(self._model)
        truncated = b',"truncated":' + _encode(self._truncated) if self._truncated else b""
        usage = b'],"usage":{"prompt_tokens":%d,"total_tokens":%d}' % (self._read, self._read)
        return b"".join((head, b",".join(self._items), usage, truncated, b"}"))

    def usage(self) -> Usage:
        return usage_of(self._read, 0)

    def _spelled(self, row: Row, number: int) -> Any:
        """The row as it goes out. Raises EngineFailed where a number is none: JSON cannot hold it."""
        if isinstance(row, dict):
            values: Sequence[float] = tuple(row.values())
        else:
            values = _floats(row) if isinstance(row, bytes) else array("f", row)
        if not math.isfinite(sum(values)):
            raise EngineFailed(
                f"The model made no usable vector of input {number}: it holds NaN or infinity. "
                "Launch the model with dtype=float32, and check its weights."
            )
        if isinstance(row, dict):
            return row
        if self._base64:
            data = row if isinstance(row, bytes) else _little_endian(values)
            return b2a_base64(data, newline=False).decode()
        return values.tolist() if isinstance(values, array) else values


def embed_request_of(request: EmbeddingRequest, request_id: str) -> EmbedRequest:
    """What the engine is asked. Raises BadRequest that names the input."""
    normalize = request.normalize_embedding
    return EmbedRequest(
        request_id=request_id,
        inputs=tuple(_inputs(request.input)),
        dimensions=request.dimensions,
        normalize=request.normalize_embeddings if normalize is None else normalize,
        sparse=bool(request.return_sparse),
        max_tokens=request.truncate_prompt_tokens,
        truncate=request.truncate,
        prompt_name=request.prompt_name,
        prompt=request.prompt,
    )


def _inputs(given: Any) -> Iterator[Any]:
    """One text, one list of ids, parts, or a list of these."""
    if not isinstance(given, list):
        yield given
        return
    ids = sum(isinstance(one, int) for one in given)
    if ids and ids != len(given):
        raise BadRequest("`input` mixes token ids with other inputs; give a list of ids.", param="input")
    if ids:
        yield given
        return
    for number, one in enumerate(given):
        if isinstance(one, list | dict) and not one:
            raise BadRequest(f"input[{number}] is empty; give a text, token ids or parts.", param=f"input[{number}]")
        yield one


def _floats(row: bytes) -> array[float]:
    values = array("f")
    values.frombytes(row)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _little_endian(values: Sequence[float]) -> bytes:
    copied = array("f", values)
    if sys.byteorder == "big":
        copied.byteswap()
    return copied.tobytes()
