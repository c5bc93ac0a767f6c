"""A worker's chat stream as values: chunks, failures, and its end, wherever its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from ..sdk import EnginehouseError

DONE = b"[DONE]"


class FunctionPiece(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct, frozen=True):
    """A tool call, whole or a piece of it; pieces of one call share the index."""

    index: int = 0
    id: str | None = None
    function: FunctionPiece = FunctionPiece()


class Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallPiece] | None = None


class Choice(msgspec.Struct, frozen=True):
    """stop_reason: the stop string that cut the answer; other servers also put a token's id there."""

    delta: Delta = Delta()
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chunk(msgspec.Struct, frozen=True):
    """What the translations read of a chat chunk; lenient, since an engine may write its own."""

    choices: list[Choice] = []
    usage: Usage | None = None


class Refusal(NamedTuple):
    """An error answer, whoever made it. status: HTTP's."""

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after: int | None = None

    @classmethod
    def of(cls, error: EnginehouseError) -> Refusal:
        return cls(error.status, error.message, error.code, error.param, error.retry_after)


class ChatEvents:
    """Fed with a stream's bytes, gives what is complete: a Chunk each, or a Refusal, after which nothing comes."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self.ended = False

    def feed(self, piece: bytes) -> Iterator[Chunk | Refusal]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                event = self._event(b"\n".join(self._data))
                self._data = []
                if event is not None:
                    yield event

    def _event(self, data: bytes) -> Chunk | Refusal | None:
        if self.ended or data == DONE:
            self.ended = True
            return None
        event = read_event(data)
        self.ended = isinstance(event, Refusal)
        return event


_chunk = msgspec.json.Decoder(Chunk)


def read_event(data: bytes) -> Chunk | Refusal:
    """One event's JSON. One that cannot be read is a fault of the engine, told as such."""
    try:
        if b'"error"' in data and isinstance(value := msgspec.json.decode(data), dict) and value.get("error"):
            refusal = read_refusal(500, value)  # within a stream an error has no status of its own, but a code
            return refusal._replace(status=_STATUS_OF.get(refusal.code, 500))
        return _chunk.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Refusal(500, f"The worker sent an event that cannot be read: {error}. See its log.", "engine_failed")


def read_refusal(status: int, body: Any, retry_after: int | None = None) -> Refusal:
    """An error as a worker writes it: OpenAI's object, or whatever else an engine's own server says."""
    error = body.get("error") if isinstance(body, dict) else None
    told = (
        error
        if isinstance(error, dict)
        else {"message": error or (body.get("detail") if isinstance(body, dict) else body)}
    )
    code = told.get("code")
    code = code if isinstance(code, str) else "engine_failed" if status >= 500 else "invalid_request"
    message = str(told.get("message") or "The worker refused without a reason; see its log.")
    param = told.get("param")
    return Refusal(status, message, code, param if isinstance(param, str) else None, retry_after)


def _statuses() -> dict[str, int]:
    """Statuses of our own codes; of classes that share a code the one higher up counts."""
    found: dict[str, int] = {}
    left: list[type[EnginehouseError]] = [EnginehouseError]
    while left:
        kind = left.pop(0)
        found.setdefault(kind.code, kind.status)
        left += kind.__subclasses__()
    return found


_STATUS_OF = _statuses()
