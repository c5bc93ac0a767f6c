"""The task `rerank`: how well documents answer a query, on the wire and what an engine is asked below it.

The wire's shape is that of Xinference's and Cohere's servers. Fields that may be null are `X | None = None`; a field
that is not listed is let through unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from .chat import PositiveInt
from .embeddings import Part

Count = Annotated[int, msgspec.Meta(ge=0)]


class RerankRequest(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/rerank`.

    documents: texts, or objects with a `text` (and, where the model reads it, an `image`).
    top_n: so many of the best; null for all. return_documents: also gives each document's text.
    return_len: also states, in `meta.tokens`, how many tokens were read.
    normalize: scores from 0 to 1, or as the model gives them; null is what the model itself does.
    raw_scores: the other way round, as vLLM and TEI name it. instruction: for models that take one.
    truncate: whether what is too long is cut (and `meta.warnings` says so) or refused.
    kwargs: any of these fields once more, as JSON text; they win.
    """

    model: str
    query: str | Part
    documents: list[str | Part]
    top_n: Count | None = None
    return_documents: bool | None = None
    return_len: bool | None = None
    max_chunks_per_doc: PositiveInt | None = None
    normalize: bool | None = None
    raw_scores: bool | None = None
    instruction: str | None = None
    truncate: bool | None = None
    user: str | None = None
    request_id: str | None = None
    kwargs: str | dict[str, Any] | None = None


class RerankResult(msgspec.Struct):
    """index: of the document in the request. document: as parts, when asked for."""

    index: int
    relevance_score: float
    document: Part | None = None


class RerankTokens(msgspec.Struct):
    """Tokens read; both numbers are the same, as Xinference's clients know it."""

    input_tokens: int
    output_tokens: int


class RerankMeta(msgspec.Struct):
    """warnings: sentences about documents that were cut."""

    api_version: None = None
    billed_units: None = None
    tokens: RerankTokens | None = None
    warnings: list[str] | None = None


class RerankUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class RerankAnswer(msgspec.Struct):
    """Answer of `POST /v1/rerank`, best first; among equals in the order of the request."""

    id: str
    model: str
    results: list[RerankResult]
    meta: RerankMeta
    usage: RerankUsage


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine's `rerank` gets: one query, and at least one document.

    Every field is honoured or refused with BadRequest, never ignored; see RerankRequest.
    """

    request_id: str
    query: str | Part
    documents: Sequence[str | Part]
    normalize: bool | None = None
    instruction: str | None = None
    truncate: bool | None = None


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of the next documents, in their order; higher is better.

    prompt_tokens: read for these documents, the query each time. truncated: positions among `scores` of
    documents that were cut.
    """

    scores: Sequence[float]
    prompt_tokens: int
    truncated: tuple[int, ...] = ()
