"""vLLM's error bodies as this server's errors: its codes, its statuses, the field's name where vLLM says it."""

from __future__ import annotations

import re

import msgspec

from enginehouse.sdk import (
    BadRequest,
    Constraint,
    ContextLengthExceeded,
    EngineFailed,
    EnginehouseError,
    NotReady,
    NotSupported,
)

RETRY_SECONDS = 1
_TAIL = re.compile(r"\s*\(parameter=.*\)\s*$", re.DOTALL)
_LENGTH = ("maximum context length", "longer than the maximum model length", "max_tokens must be at least 1, got")
_CONSTRAINTS = ("grammar", "schema", "regex", "structured output", "choice")
_NAMED = re.compile(r"(?:.*; )?([a-z]+(?:_[a-z]+)+|dimensions) must ")  # where vLLM names the field in its words only
_PARAMS = {"input_tokens": "prompt"}


class _Error(msgspec.Struct):
    message: str = ""
    param: str | None = None
    code: int | str | None = None


class _Body(msgspec.Struct):
    error: _Error | None = None
    detail: object = None


def refusal_of(status: int, body: bytes, constraint: Constraint | None = None) -> EnginehouseError:
    """The error that an answer of vLLM's stands for. constraint: of the request, which its words may be about."""
    error = _read(body)
    message = _TAIL.sub("", error.message) or f"vLLM answered with status {status}."
    if isinstance(error.code, int) and error.code >= 400:
        status = error.code
    lower = message.lower()
    if any(words in lower for words in _LENGTH):
        return ContextLengthExceeded(_length(message), param="prompt")
    if status == 404:
        return NotSupported(f"vLLM does not serve this here: {message}")
    if status == 503:
        return NotReady(message, retry_after=RETRY_SECONDS)
    if status >= 500:
        return EngineFailed(f"vLLM failed on this request: {message} See the worker's log.")
    if constraint is not None and any(word in lower for word in _CONSTRAINTS):
        return BadRequest(f"{constraint.param} cannot be honoured: {message}", param=constraint.param)
    named = _NAMED.match(message)
    param = error.param or (named.group(1) if named else None)
    return BadRequest(message, param=_PARAMS.get(param or "", param))


def _length(message: str) -> str:
    if message.startswith("max_tokens"):
        return "The prompt fills this model's whole context and leaves no room for an answer; shorten it."
    return message


def _read(body: bytes) -> _Error:
    try:
        read = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _Error(body[:500].decode("utf-8", "replace"))
    if read.error is None:
        return _Error(str(read.detail or ""))
    return read.error
