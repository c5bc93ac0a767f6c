"""Tasks: what can be asked of a model. One word each for task, engine method, route and conformance test."""

from __future__ import annotations

from typing import Any

import msgspec

from .chat import ChatChunk, ChatCompletion, ChatRequest
from .completions import Completion, CompletionRequest
from .embeddings import EmbeddingAnswer, EmbeddingRequest
from .reranking import RerankAnswer, RerankRequest
from .tokens import (
    ConvertIdsRequest,
    DetokenizeAnswer,
    DetokenizeRequest,
    TokenizeAnswer,
    TokenizeRequest,
)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task. request, answer, chunk: types of its route's body, its answer, and one event of its stream, if any.

    A request has the field `model`; with a chunk also `stream`, and with a field `rest` (see
    `enginehouse.sdk.open_structs`) every key that it does not name.
    ends_with_done: whether its stream ends with `data: [DONE]` by default. LangChain's `astream` breaks on
    it after completions, and nobody needs it there.
    takes_forms: its route takes a multipart form, too; the engine gets its files as data URLs.
    """

    name: str
    route: str
    summary: str
    request: type[msgspec.Struct]
    answer: Any
    chunk: type[msgspec.Struct] | None = None
    ends_with_done: bool = True
    takes_forms: bool = False


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
        Task(
            name="embed",
            route="/v1/embeddings",
            summary="Vectors of texts",
            request=EmbeddingRequest,
            answer=EmbeddingAnswer,
        ),
        Task(
            name="rerank",
            route="/v1/rerank",
            summary="Order documents by how well they answer a query",
            request=RerankRequest,
            answer=RerankAnswer,
        ),
    )
}

AUXILIARY: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="tokenize",
            route="/v1/tokenize",
            summary="Token ids of a text or a conversation",
            request=TokenizeRequest,
            answer=TokenizeAnswer,
        ),
        Task(
            name="detokenize",
            route="/v1/detokenize",
            summary="The text of token ids",
            request=DetokenizeRequest,
            answer=DetokenizeAnswer,
        ),
        Task(
            name="convert_ids_to_tokens",
            route="/v1/convert_ids_to_tokens",
            summary="Each token id as the tokenizer's vocabulary spells it",
            request=ConvertIdsRequest,
            answer=list[str | list[str]],
        ),
    )
}
"""What can be asked of any model beside its tasks, answered where its engine has a method of that name; no engine
declares them. See `enginehouse.sdk.engines.Tokenizing`."""
