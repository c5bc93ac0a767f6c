"""The heavy half: embeds and ranks, the inputs of all callers computed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from enginehouse.sdk import (
    BadRequest,
    EmbedRequest,
    EngineContext,
    NotSupported,
    ScoreRequest,
    Scores,
    TooLarge,
    Vectors,
)
from enginehouse.sdk.memory_ceiling import MemoryCeiling

from . import ambient  # noqa: F401 - before everything that imports torch
from .inputs import asked_of, sequences_of
from .lanes import Lanes, Portion, Width, cores_of
from .loading import BATCH, BATCH_ON_CPU, Embedder, Ranker, load_embedder, load_ranker
from .model import SPARSE, Model, Result
from .options import SentenceTransformersOptions
from .reranking import text_of
from .words import Tokens, Words

CHUNK = 128  # inputs of one request that are on their way at a time, twice: few enough to hold, enough to fill batches
AT_ONCE = 4000  # characters that are tokenised where they arrive; a thread's hop takes longer than that
# Products of two numbers, in a batch, for which no second core is woken: one does them in about 10 ms. Two save up to a
# quarter of that on an idle machine, and took ten times as long where the second had something else to do.
SMALL_WORK = 2**28
CLOSE_SECONDS = 5.0  # a batch that is longer than this is left to end with the process


class Done(NamedTuple):
    """A chunk of a request, computed. first: the number of its first input."""

    first: int
    sequences: list[Tokens]
    results: list[Result]

    @property
    def tokens(self) -> int:
        return sum(result.tokens for result in self.results)

    @property
    def cut(self) -> tuple[int, ...]:
        return tuple(place for place, tokens in enumerate(self.sequences) if tokens.cut)


class SentenceTransformersEngine:
    """Embeds or ranks, as its tasks say."""

    def __init__(self, context: EngineContext) -> None:
        options = context.options
        assert isinstance(options, SentenceTransformersOptions)
        self._context = context
        self._options = options
        self._embedder: Embedder | None = None
        self._ranker: Ranker | None = None
        self._words: Words | None = None
        self.context_length: int | None = None

    def load(self) -> None:
        context = self._context
        if "rerank" in context.tasks:
            self._ranker = load_ranker(context)
            model, self._words = self._ranker.model, self._ranker.words
        else:
            self._embedder = load_embedder(context)
            model, self._words = self._embedder.model, self._embedder.reading.words
        self.context_length = self._words.limit if self._words else None
        on_cpu = model.device.type == "cpu"
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenize")
        self._lanes = Lanes(
            compute=model.run,
            budget=self._options.max_batch_tokens or (BATCH_ON_CPU if on_cpu else BATCH),
            width=_width(model, cores_of(self._options.threads)),
            most_waiting=self._options.max_waiting_tokens,
            after=MemoryCeiling(self._options.memory_gib).check,
        )

    def close(self) -> None:
        self._lanes.close(CLOSE_SECONDS)
        self._tokenizing.shutdown(wait=False, cancel_futures=True)

    async def embed(self, request: EmbedRequest) -> AsyncIterator[Vectors]:
        embedder = self._embedder
        if embedder is None:
            raise NotSupported("This model ranks documents; ask another for vectors.", param="model")
        finish = _finish_of(embedder, request)
        asked = asked_of(embedder.reading, request)
        inputs = request.inputs
        kind = SPARSE if request.sparse else None

        def prepare(first: int, last: int) -> list[Tokens]:
            return sequences_of(embedder.reading, asked, inputs[first:last], first)

        async for done in self._flow(len(inputs), _characters(inputs), prepare, kind):
            rows = finish([result.row for result in done.results])
            yield Vectors(rows=rows, prompt_tokens=done.tokens, truncated=done.cut)

    async def rerank(self, request: ScoreRequest) -> AsyncIterator[Scores]:
        ranker = self._ranker
        if ranker is None:
            raise NotSupported("This model makes vectors; ask a reranker.", param="model")
        scoring = ranker.scoring
        kind = scoring.pairing.kind(request)
        texts = [text_of(document, f"documents[{number}]") for number, document in enumerate(request.documents)]

        def prepare(first: int, last: int) -> list[Tokens]:
            sequences = scoring.pairing.sequences(request, texts[first:last])
            scoring.check(request, sequences, first)
            return sequences

        async for done in self._flow(len(texts), _characters([text_of(request.query), *texts]), prepare, kind):
            numbers = np.asarray([result.row for result in done.results], dtype=np.float32)
            scores = scoring.finished(request, numbers)
            yield Scores(scores=scores, prompt_tokens=done.tokens, truncated=done.cut)

    def tokenize(self, text: str, special_tokens: bool = False) -> list[int]:
        words = self._own_words()
        (ids,) = words.encode([text])
        return ids if special_tokens else words.single.single(ids)

    def detokenize(self, ids: list[int]) -> str:
        return str(self._own_words().tokenizer.decode(self._known(ids), skip_special_tokens=True))

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [str(token) for token in self._own_words().tokenizer.convert_ids_to_tokens(self._known(ids))]

    async def _flow(
        self, count: int, characters: int, prepare: Callable[[int, int], list[Tokens]], kind: Hashable
    ) -> AsyncIterator[Done]:
        """Chunk by chunk: one is tokenised while the one before it is computed."""
        if count > self._options.max_inputs:
            raise TooLarge(
                f"This request has {count} inputs, and at most {self._options.max_inputs} are taken at once; send them "
                "in several requests, or launch the model with a larger max_inputs."
            )
        self._lanes.admit()
        caller = object()
        begun: deque[tuple[int, list[Tokens], Portion]] = deque()
        try:
            for first in range(0, count, CHUNK):
                last = min(first + CHUNK, count)
                if characters <= AT_ONCE:
                    sequences = prepare(first, last)
                else:
                    loop = asyncio.get_running_loop()
                    sequences = await loop.run_in_executor(self._tokenizing, prepare, first, last)
                begun.append((first, sequences, self._lanes.submit(caller, sequences, kind)))
                if len(begun) > 1:
                    yield await _done(begun)
            while begun:
                yield await _done(begun)
        finally:
            self._lanes.forget(caller)
            for _, _, portion in begun:
                portion.done.cancel()

    def _own_words(self) -> Words:
        if self._words is None:
            raise NotSupported("This model has no tokenizer that could be asked.", param="model")
        return self._words

    def _known(self, ids: Sequence[int]) -> list[int]:
        vocabulary = self._own_words().vocabulary
        for one in ids:
            if not 0 <= one < vocabulary:
                raise BadRequest(f"There is no token {one}; ids go from 0 to {vocabulary - 1}.")
        return list(ids)


def _width(model: Model, cores: int) -> Width:
    if model.device.type != "cpu":
        return Width(lanes=1, cores=0)
    return Width(lanes=cores, cores=cores, small=SMALL_WORK // model.packed if model.packed else 0)


async def _done(begun: deque[tuple[int, list[Tokens], Portion]]) -> Done:
    first, sequences, portion = begun.popleft()
    return Done(first, sequences, await portion.done)


def _finish_of(embedder: Embedder, request: EmbedRequest) -> Callable[[list[Any]], list[Any]]:
    """What is done with rows before they leave. Raises BadRequest for what the model does not have."""
    if request.sparse or embedder.sparse == "only":
        if embedder.sparse == "no":
            raise NotSupported("This model has no sparse vectors; leave return_sparse out.", param="return_sparse")
        if request.dimensions is not None:
            raise NotSupported("A sparse vector cannot be cut; leave dimensions out.", param="dimensions")
        return list
    dimensions = request.dimensions
    if dimensions is not None and embedder.dimension and dimensions > embedder.dimension:
        raise BadRequest(
            f"This model's vectors have {embedder.dimension} dimensions, so there are no {dimensions}.",
            param="dimensions",
        )
    normalizes = embedder.normalizes if request.normalize is None else request.normalize
    return lambda rows: _spelled(np.stack(rows)[:, :dimensions], normalizes)


def _spelled(rows: np.ndarray[Any, Any], normalizes: bool) -> list[bytes]:
    """Rows as little-endian bytes. A row of zeros stays one."""
    if normalizes:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.maximum(lengths, 1e-12)
    return [row.tobytes() for row in np.ascontiguousarray(rows, dtype="<f4")]


def _characters(inputs: Sequence[Any]) -> int:
    """Roughly how much there is to tokenise; images count as much."""
    return sum(len(one) if isinstance(one, str | list) else AT_ONCE + 1 for one in inputs)
