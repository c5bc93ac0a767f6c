"""Vectors and scores: inputs measured and sent to vLLM's routes, answers as the runner takes them."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from enginehouse.sdk import BadRequest, ContextLengthExceeded, EmbedRequest, NotSupported, ScoreRequest, Scores, Vectors
from enginehouse.sdk.embeddings import EmbedInput, Part

from .inside import Inside
from .refusals import refusal_of

EMBEDDINGS, RERANK = "/v1/embeddings", "/v1/rerank"
FRAME = 8  # special tokens around an input or a pair, at most
_encode = msgspec.json.Encoder().encode


class Pooling(NamedTuple):
    """Where to ask, and what is known of the model (see `Facts` in model_server)."""

    inside: Inside
    facts: Any


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Vector(msgspec.Struct):
    index: int
    embedding: str


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: _Usage


class _Score(msgspec.Struct):
    index: int
    relevance_score: float


class _Scores(msgspec.Struct):
    results: list[_Score]
    usage: _Usage


async def embed(pooling: Pooling, request: EmbedRequest) -> Vectors:
    """Raises BadRequest that names the input."""
    if request.sparse:
        raise NotSupported(
            "Sparse vectors are not made by engine vllm; leave return_sparse out, or launch the model with "
            "sentence_transformers.",
            param="return_sparse",
        )
    inputs = _inputs(pooling, request)
    limit, cuts = _limit(pooling, request)
    long = await _too_long(pooling, inputs, limit)
    if long and not cuts:
        number = long[0]
        raise ContextLengthExceeded(
            f"input[{number}] is longer than the {limit} tokens that are read of one; shorten it, or send "
            "truncate=true.",
            param=f"input[{number}]",
        )
    body: dict[str, Any] = {"model": pooling.facts.model_uid, "input": inputs, "encoding_format": "base64"}
    body |= _wishes(request.dimensions, request.normalize)
    if long:
        body["truncate_prompt_tokens"] = limit
    found = await _ask(pooling, EMBEDDINGS, body, _Vectors)
    rows = [b64decode(one.embedding) for one in sorted(found.data, key=lambda one: one.index)]
    return Vectors(rows=rows, prompt_tokens=found.usage.prompt_tokens, truncated=long)


async def score(pooling: Pooling, request: ScoreRequest) -> Scores:
    """Raises BadRequest that names the document."""
    query = _text(request.query, "query")
    documents = [_text(one, f"documents[{number}]") for number, one in enumerate(request.documents)]
    limit = pooling.facts.context_length
    cuts = pooling.facts.truncates if request.truncate is None else request.truncate
    long = await _too_long(pooling, documents, limit, query)
    if long and not cuts:
        number = long[0]
        raise ContextLengthExceeded(
            f"The query and documents[{number}] are longer than the {limit} tokens that are read of a pair; shorten "
            "it, or send truncate=true.",
            param=f"documents[{number}]",
        )
    body: dict[str, Any] = {"model": pooling.facts.model_uid, "query": query, "documents": documents}
    body |= _wishes(None, request.normalize)
    if request.instruction is not None:
        body["instruction"] = request.instruction
    if long:
        body["truncate_prompt_tokens"] = limit
    found = await _ask(pooling, RERANK, body, _Scores)
    scores = [0.0] * len(documents)
    for one in found.results:
        scores[one.index] = one.relevance_score
    return Scores(scores=scores, prompt_tokens=found.usage.total_tokens, truncated=long)


async def _ask(pooling: Pooling, route: str, body: dict[str, Any], answer: Any) -> Any:
    status, data = await pooling.inside.ask("POST", route, _encode(body))
    if status != 200:
        raise refusal_of(status, data)
    return msgspec.json.decode(data, type=answer)


def _wishes(dimensions: int | None, normalize: bool | None) -> dict[str, Any]:
    wishes = {"dimensions": dimensions, "use_activation": normalize}
    return {name: value for name, value in wishes.items() if value is not None}


def _limit(pooling: Pooling, request: EmbedRequest) -> tuple[int, bool]:
    """Tokens read of one input, and whether what is beyond is cut."""
    limit: int = pooling.facts.context_length
    cuts: bool = pooling.facts.truncates if request.truncate is None else request.truncate
    if request.max_tokens is not None and request.max_tokens < limit:
        return request.max_tokens, True  # it is asked for in so many words
    return limit, cuts


def _inputs(pooling: Pooling, request: EmbedRequest) -> list[str] | list[list[int]]:
    """Texts, or token ids where all inputs are: vLLM takes no mixture."""
    before = _prompt(pooling, request)
    plain = [_plain(one, number) for number, one in enumerate(request.inputs)]
    if all(isinstance(one, str) for one in plain):
        return [before + str(one) for one in plain]
    encode = pooling.facts.tokenizer.encode
    size = pooling.facts.vocabulary
    made = []
    for number, one in enumerate(plain):
        ids = encode(before + one) if isinstance(one, str) else one
        if wrong := next((token for token in ids if not 0 <= token < size), None):
            raise BadRequest(
                f"input[{number}] holds the token id {wrong}, but this model has ids from 0 to {size - 1}. Use its own "
                "tokenizer (POST /v1/tokenize), or send texts.",
                param=f"input[{number}]",
            )
        made.append(ids)
    return made


def _prompt(pooling: Pooling, request: EmbedRequest) -> str:
    prompts: dict[str, str] = pooling.facts.prompts
    if request.prompt is not None:
        return request.prompt
    if request.prompt_name is None:
        return str(pooling.facts.default_prompt)
    if request.prompt_name not in prompts:
        known = ", ".join(sorted(prompts)) or "none"
        raise BadRequest(
            f"This model has no prompt named {request.prompt_name!r}; it has: {known}. `prompt` takes the text itself.",
            param="prompt_name",
        )
    return prompts[request.prompt_name]


def _plain(one: EmbedInput, number: int) -> str | list[int]:
    return _text(one, f"input[{number}]") if isinstance(one, dict) else one


def _text(one: str | Part, place: str) -> str:
    if isinstance(one, str):
        return one
    if set(one) != {"text"}:
        raise NotSupported(f"{place} is more than text, and engine vllm reads text here; send its text.", param=place)
    return one["text"]


async def _too_long(
    pooling: Pooling, inputs: Sequence[str | list[int]], limit: int, query: str | None = None
) -> tuple[int, ...]:
    """Numbers of the inputs that are beyond `limit`. Only those are tokenised that have bytes enough to be, and on a
    thread: a long text takes a tokenizer seconds."""
    before = len((query or "").encode()) + FRAME
    long = [number for number, one in enumerate(inputs) if _bytes(one) + before > limit]
    if not long:
        return ()
    lengths = await asyncio.to_thread(lambda: [_length(pooling.facts.tokenizer, inputs[one], query) for one in long])
    return tuple(number for number, length in zip(long, lengths, strict=True) if length > limit)


def _bytes(one: str | list[int]) -> int:
    return len(one.encode()) if isinstance(one, str) else len(one)


def _length(tokenizer: Any, one: str | list[int], query: str | None) -> int:
    if isinstance(one, list):
        return len(one)
    ids = tokenizer(query, one)["input_ids"] if query is not None else tokenizer(one)["input_ids"]
    return len(ids)
