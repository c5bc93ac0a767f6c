"""The task `chat` on an engine that answers chats itself: its shapes are passed on as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..sdk import BadRequest, ChatChunk, ChatCompletion, ChatRequest, EngineFailed, Usage
from .answers import WholeAnswer, usage_of
from .constraints import adapter_of, constraint_of
from .hosting import Hosted
from .sse import DONE, event

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class OwnChat(WholeAnswer):
    """The engine's ChatCompletion, or its ChatChunks as they come; each may also be a dict or JSON bytes."""

    def __init__(self, hosted: Hosted, request: ChatRequest) -> None:
        if not request.messages:
            raise BadRequest("`messages` is empty; give at least one message.", param="messages")
        constraint_of(request, hosted)  # refused here where the engine cannot honour it, and else read by itself
        adapter_of(request, hosted)
        self.stream = bool(request.stream)
        self.method = hosted.chat
        self.requests: Sequence[Any] = (request,)
        self._body: bytes | None = None
        self._usage = usage_of(0, 0)

    def take(self, index: int, item: object) -> bytes:
        data = self._bytes_of(item)
        if self.stream:
            return event(data)
        self._body = data
        return b""

    def closing(self) -> bytes:
        if self.stream:
            return DONE
        if self._body is None:
            raise EngineFailed("The engine's `chat` gave no answer. Report this to the engine's plugin.")
        return self._body

    def usage(self) -> Usage:
        return self._usage

    def _bytes_of(self, item: object) -> bytes:
        wanted = ChatChunk if self.stream else ChatCompletion
        data: Any = item
        if isinstance(data, bytes):
            data = _decode(data)  # so that it is one line, and its usage can be read
        if isinstance(data, wanted):
            data = msgspec.to_builtins(data)
            if data.get("usage", data) is None:
                del data["usage"]
        if not isinstance(data, dict):
            raise EngineFailed(
                f"The engine's `chat` gave {type(item).__name__}, not {wanted.__name__}. Report this to its plugin."
            )
        self._count(data.get("usage"))
        return _encode(data)

    def _count(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage = usage_of(int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))
