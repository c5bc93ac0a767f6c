"""OpenAI's Responses, the answer: from chat chunks to a response or its events. Pure.

Source: OpenAI API reference, "The response object" and "Streaming events".
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from .chat_events import CallPiece, Chunk, Refusal, Usage
from .responses_requests import ResponsesRequest
from .translation import Headers

Json = dict[str, Any]
Keep = Callable[[Json, list[Json]], Awaitable[None]]
"""Takes the response and the assistant's turn as chat messages."""

_encode = msgspec.json.Encoder().encode


def error_of(refusal: Refusal) -> Json:
    """An error in the shape of the other OpenAI routes."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    inner = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}
    return {"error": inner, "detail": refusal.message}


class ResponseWriter:
    """One response. Items are opened and closed as the kinds of deltas change; calls keep theirs by index."""

    def __init__(self, request: ResponsesRequest, request_id: bytes, keep: Keep) -> None:
        self.stream = bool(request.stream)
        self._request = request
        self._request_id = request_id
        self._keep = keep
        self._id = new_id("resp")
        self._created = int(time.time())
        self._items: list[_Item] = []
        self._calls: dict[int, _Item] = {}
        self._open: _Item | None = None
        self._usage: Usage | None = None
        self._status = "in_progress"
        self._cut = False
        self._number = 0

    def opening(self) -> bytes:
        return self._told("response.created") + self._told("response.in_progress")

    def take(self, chunk: Chunk) -> bytes:
        if chunk.usage is not None:
            self._usage = chunk.usage
        out: list[bytes] = []
        for choice in chunk.choices[:1]:
            if choice.delta.reasoning_content:
                out += self._speak("reasoning", choice.delta.reasoning_content)
            if choice.delta.content:
                out += self._speak("message", choice.delta.content)
            for call in choice.delta.tool_calls or ():
                out += self._call(call)
            self._cut = self._cut or choice.finish_reason == "length"
        return b"".join(out) if self.stream else b""

    def end(self) -> bytes:
        self._status = "incomplete" if self._cut else "completed"
        return b"".join(self._close(self._status)) if self.stream else b""

    async def keep(self) -> None:
        if self._request.keeps:
            await self._keep(self.response(), self.turn())

    def closing(self) -> bytes:
        return self._told(f"response.{self._status}")

    def whole(self) -> bytes:
        return _encode(self.response())

    def failing(self, refusal: Refusal) -> bytes:
        self._status = "failed"
        return self._told("response.failed", {"code": "server_error", "message": refusal.message})

    def refusal(self, refusal: Refusal) -> bytes:
        return _encode(error_of(refusal))

    def headers(self) -> Headers:
        return [(b"x-request-id", self._request_id)]

    def response(self, error: Json | None = None) -> Json:
        """The response object as it stands."""
        asked = self._request
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": self._status,
            "error": error,
            "incomplete_details": {"reason": "max_output_tokens"} if self._status == "incomplete" else None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "model": asked.model,
            "output": [] if self._status == "in_progress" else self._output(),
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": asked.previous_response_id,
            "reasoning": {"effort": None, "summary": None, **(asked.reasoning or {})},
            "store": asked.keeps,
            "temperature": asked.temperature,
            "text": asked.text or {"format": {"type": "text"}},
            "tool_choice": "auto" if asked.tool_choice is None else asked.tool_choice,
            "tools": asked.tools or [],
            "top_p": asked.top_p,
            "truncation": "disabled",
            "usage": None if self._usage is None else _used(self._usage),
            "metadata": asked.metadata or {},
        }

    def turn(self) -> list[Json]:
        """The answer as the assistant's turn of a chat."""
        text = "".join(item.text for item in self._items if item.kind == "message")
        thoughts = "".join(item.text for item in self._items if item.kind == "reasoning")
        calls = [item.chat_call() for item in self._items if item.kind == "function_call"]
        message: Json = {"role": "assistant", "content": text if text or not calls else None}
        if thoughts:
            message["reasoning_content"] = thoughts
        return [message | {"tool_calls": calls} if calls else message]

    def _output(self) -> list[Json]:
        last = len(self._items) - 1
        status = "completed" if self._status == "completed" else "incomplete"
        return [item.whole(status if number == last else "completed") for number, item in enumerate(self._items)]

    def _speak(self, kind: str, text: str) -> list[bytes]:
        out = [] if self._open is not None and self._open.kind == kind else self._begin(_Item(kind, len(self._items)))
        item = self._open
        assert item is not None
        item.pieces.append(text)
        more: Json = {"logprobs": []} if kind == "message" else {}
        return [*out, self._event(item.delta_kind, **item.place(), delta=text, **more)]

    def _call(self, call: CallPiece) -> list[bytes]:
        out: list[bytes] = []
        item = self._calls.get(call.index)
        if item is None:
            item = self._calls[call.index] = _Item("function_call", len(self._items))
            item.call_id, item.name = call.id or new_id("call"), call.function.name or ""
            out += self._begin(item)
        if call.function.arguments:
            item.pieces.append(call.function.arguments)
            out.append(self._event(item.delta_kind, **item.place(), delta=call.function.arguments))
        return out

    def _begin(self, item: _Item) -> list[bytes]:
        out = self._close("completed")
        self._items.append(item)
        self._open = item
        out.append(self._event("response.output_item.added", output_index=item.number, item=item.empty()))
        if item.kind != "function_call":
            out.append(self._event("response.content_part.added", **item.place(), part=item.part("")))
        return out

    def _close(self, status: str) -> list[bytes]:
        """What is said when an item is complete: its text once more, then the item."""
        item, self._open = self._open, None
        if item is None:
            return []
        if item.kind == "function_call":
            done = {"arguments": item.text, "name": item.name}
            told = [self._event("response.function_call_arguments.done", **item.place(), **done)]
        else:
            more: Json = {"logprobs": []} if item.kind == "message" else {}
            told = [
                self._event(item.delta_kind.replace(".delta", ".done"), **item.place(), text=item.text, **more),
                self._event("response.content_part.done", **item.place(), part=item.part(item.text)),
            ]
        last = self._event("response.output_item.done", output_index=item.number, item=item.whole(status))
        return [*told, last]

    def _told(self, kind: str, error: Json | None = None) -> bytes:
        return self._event(kind, response=self.response(error))

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


class _Item:
    """An item of the output while it is made. number: its place in the output."""

    __slots__ = ("call_id", "id", "kind", "name", "number", "pieces")

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.number = number
        self.id = new_id({"message": "msg", "reasoning": "rs"}.get(kind, "fc"))
        self.call_id = self.name = ""
        self.pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def delta_kind(self) -> str:
        kinds = {"message": "output_text", "reasoning": "reasoning_text"}
        return f"response.{kinds.get(self.kind, 'function_call_arguments')}.delta"

    def place(self) -> Json:
        """What events about this item name it by."""
        where = {"item_id": self.id, "output_index": self.number}
        return where if self.kind == "function_call" else where | {"content_index": 0}

    def part(self, text: str) -> Json:
        if self.kind == "reasoning":
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def empty(self) -> Json:
        return self._shaped([], "", "in_progress")

    def whole(self, status: str) -> Json:
        return self._shaped([self.part(self.text)], self.text, status)

    def chat_call(self) -> Json:
        function = {"name": self.name, "arguments": self.text or "{}"}
        return {"id": self.call_id, "type": "function", "function": function}

    def _shaped(self, content: list[Json], arguments: str, status: str) -> Json:
        own: Json = {"id": self.id, "type": self.kind, "status": status}
        if self.kind == "function_call":
            return own | {"call_id": self.call_id, "name": self.name, "arguments": arguments}
        if self.kind == "reasoning":
            return own | {"summary": [], "content": content}
        return own | {"role": "assistant", "content": content}


def new_id(prefix: str) -> str:
    return f"{prefix}_{os.urandom(16).hex()}"


def _used(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
