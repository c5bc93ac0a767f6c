"""The task `generate` on the wire: OpenAI's (legacy) completions.

Source: OpenAI API reference, "Create completion".
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .chat import SamplingFields, Usage


class CompletionRequest(SamplingFields, kw_only=True):
    """Body of `POST /v1/completions`. prompt: a text, a list of texts, token ids, or a list of those."""

    prompt: str | list[str | int | list[int]]
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None


class CompletionLogprobs(msgspec.Struct):
    """Columns, one row for each token. text_offset: characters from the start of the text."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(msgspec.Struct):
    index: int
    text: str
    finish_reason: str | None = None
    logprobs: CompletionLogprobs | None = None


class Completion(msgspec.Struct):
    """Answer of `POST /v1/completions`, and, with partial texts, one event of its stream."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None
    object: Literal["text_completion"] = "text_completion"
