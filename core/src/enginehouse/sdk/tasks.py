"""Tasks: what can be asked of a model. One word each for task, engine method, route and conformance test."""

from __future__ import annotations

import msgspec

from .chat import ChatChunk, ChatCompletion, ChatRequest
from .completions import Completion, CompletionRequest


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task. request, answer, chunk: structs of its route's body, answer, and one event of its stream.

    ends_with_done: whether its stream ends with `data: [DONE]` by default. LangChain's `astream` breaks on
    it after completions, and nobody needs it there.
    """

    name: str
    route: str
    summary: str
    request: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    chunk: type[msgspec.Struct]
    ends_with_done: bool = True


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="chat",
            route="/v1/chat/completions",
            summary="Answer a conversation",
            request=ChatRequest,
            answer=ChatCompletion,
            chunk=ChatChunk,
        ),
        Task(
            name="generate",
            route="/v1/completions",
            summary="Continue a text",
            request=CompletionRequest,
            answer=Completion,
            chunk=Completion,
            ends_with_done=False,
        ),
    )
}
