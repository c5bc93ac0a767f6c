"""Anthropic's Messages, the answer: from chat chunks to a Message or its events. Pure.

Source: Anthropic API reference, "Messages" and "Streaming Messages".
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import msgspec

from .anthropic_errors import error_of, headers_of
from .chat_events import CallPiece, Chunk, Refusal, Usage
from .translation import Headers

Json = dict[str, Any]

_REASONS = {"length": "max_tokens", "tool_calls": "tool_use", "stop": "end_turn"}
_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """Of the request, what its answer needs. shows_thinking: whether thoughts are a part of the answer."""

    model: str
    stream: bool
    stop_sequences: tuple[str, ...] = ()
    shows_thinking: bool = True


class MessageWriter:
    """One Message. Blocks are opened and closed as the kinds of deltas change; calls keep theirs by index."""

    def __init__(self, asked: Asked, request_id: bytes) -> None:
        self.stream = asked.stream
        self._asked = asked
        self._request_id = request_id
        self._id = f"msg_{os.urandom(12).hex()}"
        self._blocks: list[_Block] = []
        self._calls: dict[int, int] = {}
        self._open = False
        self._usage = Usage()
        self._reason = "end_turn"
        self._stop: str | None = None

    def opening(self) -> bytes:
        """The prompt's tokens are not known yet; `message_delta` brings them."""
        return _event({"type": "message_start", "message": self._message([], None, None)}) + _event({"type": "ping"})

    def take(self, chunk: Chunk) -> bytes:
        if chunk.usage is not None:
            self._usage = chunk.usage
        out: list[bytes] = []
        for choice in chunk.choices[:1]:
            if choice.delta.reasoning_content and self._asked.shows_thinking:
                out += self._speak("thinking", choice.delta.reasoning_content)
            if choice.delta.content:
                out += self._speak("text", choice.delta.content)
            for call in choice.delta.tool_calls or ():
                out += self._call(call)
            if choice.finish_reason:
                self._finish(choice.finish_reason, choice.stop_reason)
        return b"".join(out) if self.stream else b""

    def end(self) -> bytes:
        return b"".join(self._close()) if self.stream else b""

    async def keep(self) -> None:
        """Nothing is kept."""

    def closing(self) -> bytes:
        delta = {"stop_reason": self._reason, "stop_sequence": self._stop}
        last = {"type": "message_delta", "delta": delta, "usage": self._used()}
        return _event(last) + _event({"type": "message_stop"})

    def whole(self) -> bytes:
        return _encode(self._message([block.whole() for block in self._blocks], self._reason, self._stop))

    def failing(self, refusal: Refusal) -> bytes:
        return _event(error_of(refusal, self._request_id.decode()))

    def refusal(self, refusal: Refusal) -> bytes:
        return _encode(error_of(refusal, self._request_id.decode()))

    def headers(self) -> Headers:
        return headers_of(self._request_id)

    def _message(self, content: list[Json], reason: str | None, stop: str | None) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": stop,
            "usage": self._used(),
        }

    def _used(self) -> Json:
        return {"input_tokens": self._usage.prompt_tokens, "output_tokens": self._usage.completion_tokens}

    def _finish(self, finish: str, stop: str | int | None) -> None:
        self._reason = _REASONS.get(finish, "end_turn")
        if self._reason == "end_turn" and self._calls:
            self._reason = "tool_use"
        elif self._reason == "end_turn" and isinstance(stop, str) and stop in self._asked.stop_sequences:
            self._reason, self._stop = "stop_sequence", stop

    def _speak(self, kind: str, text: str) -> list[bytes]:
        out: list[bytes] = []
        if not (self._open and self._blocks[-1].kind == kind):
            out += self._begin(_Block(kind))
        self._blocks[-1].pieces.append(text)
        return [*out, self._delta(len(self._blocks) - 1, {"type": f"{kind}_delta", kind: text})]

    def _call(self, call: CallPiece) -> list[bytes]:
        out: list[bytes] = []
        if call.index not in self._calls:
            self._calls[call.index] = len(self._blocks)
            out += self._begin(_Block("tool_use", call.id or f"toolu_{os.urandom(12).hex()}", call.function.name or ""))
        arguments = call.function.arguments
        if arguments:
            number = self._calls[call.index]
            self._blocks[number].pieces.append(arguments)
            out.append(self._delta(number, {"type": "input_json_delta", "partial_json": arguments}))
        return out

    def _begin(self, block: _Block) -> list[bytes]:
        out = self._close()
        self._blocks.append(block)
        self._open = True
        start = {"type": "content_block_start", "index": len(self._blocks) - 1, "content_block": block.empty()}
        return [*out, _event(start)]

    def _close(self) -> list[bytes]:
        if not self._open:
            return []
        self._open = False
        return [_event({"type": "content_block_stop", "index": len(self._blocks) - 1})]

    def _delta(self, number: int, delta: Json) -> bytes:
        return _event({"type": "content_block_delta", "index": number, "delta": delta})


class _Block:
    """A block of content while it is made."""

    __slots__ = ("id", "kind", "name", "pieces")

    def __init__(self, kind: str, block_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.id = block_id
        self.name = name
        self.pieces: list[str] = []

    def empty(self) -> Json:
        return self._shaped("", {})

    def whole(self) -> Json:
        text = "".join(self.pieces)
        return self._shaped(text, _input(text) if self.kind == "tool_use" else {})

    def _shaped(self, text: str, arguments: Json) -> Json:
        if self.kind == "tool_use":
            return {"type": "tool_use", "id": self.id, "name": self.name, "input": arguments}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": text, "signature": ""}  # clients want the field; nobody signed
        return {"type": "text", "text": text}


def _input(arguments: str) -> Json:
    """A call's arguments. What is no JSON object stays readable under `arguments`."""
    try:
        return msgspec.json.decode(arguments or "{}", type=Json)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {"arguments": arguments}


def _event(event: Json) -> bytes:
    kind: str = event["type"]
    return b"event: " + kind.encode() + b"\ndata: " + _encode(event) + b"\n\n"
