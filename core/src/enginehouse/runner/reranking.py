"""The task `rerank` on the wire, made from the engine's `rerank`."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from ..sdk import BadRequest, EngineFailed, NotSupported, RerankAnswer, RerankRequest, ScoreRequest, Scores, Usage
from ..sdk.reranking import RerankMeta, RerankResult, RerankTokens, RerankUsage
from .answers import WholeAnswer, usage_of
from .hosting import Hosted

NAMED = 20  # documents that a warning names; more are counted
_FIXED = ("model", "query", "documents", "kwargs")
_encode = msgspec.json.Encoder().encode


class Ranking(WholeAnswer):
    """One caller's scores, put in order at the end."""

    def __init__(self, hosted: Hosted, request: RerankRequest, request_id: str) -> None:
        self._request = merged(request)
        self.method = hosted.method("rerank")
        self.requests: Sequence[Any] = (score_request_of(self._request, request_id),) if request.documents else ()
        self._scores: list[float] = []
        self._read = 0
        self._truncated: list[int] = []

    def take(self, index: int, item: object) -> bytes:
        if not isinstance(item, Scores):
            raise EngineFailed(
                f"The engine's `rerank` gave {type(item).__name__}, not Scores. Report this to its plugin."
            )
        first = len(self._scores)
        self._read += item.prompt_tokens
        self._truncated += [first + position for position in item.truncated]
        self._scores += [_finite(score, number) for number, score in enumerate(item.scores, first)]
        return b""

    def closing(self) -> bytes:
        documents, scores = self._request.documents, self._scores
        if len(scores) != len(documents):
            raise EngineFailed(
                f"The engine gave {len(scores)} scores for {len(documents)} documents. Report this to its plugin."
            )
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[: self._request.top_n]
        results = [RerankResult(index, scores[index], self._document(index)) for index in order]
        return _encode(
            RerankAnswer(
                str(uuid.uuid1()), self._request.model, results, self._meta(), RerankUsage(self._read, self._read)
            )
        )

    def usage(self) -> Usage:
        return usage_of(self._read, 0)

    def _document(self, index: int) -> dict[str, str] | None:
        if not self._request.return_documents:
            return None
        document = self._request.documents[index]
        return {"text": document} if isinstance(document, str) else document

    def _meta(self) -> RerankMeta:
        tokens = RerankTokens(self._read, self._read) if self._request.return_len else None
        if not self._truncated:
            return RerankMeta(tokens=tokens)
        named = ", ".join(map(str, self._truncated[:NAMED])) + (", ..." if len(self._truncated) > NAMED else "")
        warning = f"{len(self._truncated)} documents were too long for the model and were cut: {named}."
        return RerankMeta(tokens=tokens, warnings=[warning])


def merged(request: RerankRequest) -> RerankRequest:
    """The request with what its `kwargs` say. Raises BadRequest."""
    if not request.kwargs:
        return request
    try:
        given = msgspec.json.decode(request.kwargs) if isinstance(request.kwargs, str) else request.kwargs
        more = {key: value for key, value in given.items() if key not in _FIXED and value is not None}
        return msgspec.convert({**msgspec.to_builtins(request), **more}, RerankRequest)
    except (msgspec.DecodeError, AttributeError) as error:
        raise BadRequest(f"kwargs must be a JSON object of this route's fields: {error}.", param="kwargs") from error


def score_request_of(request: RerankRequest, request_id: str) -> ScoreRequest:
    """What the engine is asked. Raises BadRequest."""
    if request.max_chunks_per_doc is not None:
        raise NotSupported(
            "max_chunks_per_doc is not supported: a document is read as one. Split it yourself, or leave it out.",
            param="max_chunks_per_doc",
        )
    normalize = request.normalize
    if normalize is None and request.raw_scores is not None:
        normalize = not request.raw_scores
    return ScoreRequest(
        request_id=request_id,
        query=request.query,
        documents=request.documents,
        normalize=normalize,
        instruction=request.instruction,
        truncate=request.truncate,
    )


def _finite(score: float, number: int) -> float:
    if not math.isfinite(score):
        raise EngineFailed(
            f"The model gave document {number} no usable score but {score}. "
            "Launch the model with dtype=float32, and check its weights."
        )
    return float(score)
