"""The task `rerank`: a query with each of many documents, through the slots of one model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from math import exp
from typing import Any, NamedTuple

from enginehouse.sdk import ContextLengthExceeded, LaunchFailed, NotSupported, ScoreRequest, Scores

from .binding import Binding, Vectors
from .model_file import ModelFile

GROUP = 32  # documents asked for at a time, so that a huge request leaves room for others between its groups
FRAME = 3  # tokens around a query and a document: one before, one between, one behind
SPARE = 8  # tokens left free where the library puts the two together: some models' frames are longer
_PROBABLE = ("qwen3", "qwen3vl")  # architectures whose number is a probability already


class Ranking(NamedTuple):
    """What ranks. limit: tokens that are read of a query and a document together. truncates: see the option."""

    binding: Binding
    threads: Executor
    limit: int
    model: ModelFile
    truncates: bool

    async def rank(self, request: ScoreRequest) -> AsyncIterator[Scores]:
        """The scores of all documents, a group at a time."""
        self._check(request)
        query = _text(request.query, "query")
        documents = [_text(one, f"documents[{place}]") for place, one in enumerate(request.documents)]
        loop = asyncio.get_running_loop()
        for first in range(0, len(documents), GROUP):
            group = documents[first : first + GROUP]
            yield await loop.run_in_executor(self.threads, self._scores, request, query, group, first)

    def _check(self, request: ScoreRequest) -> None:
        if request.instruction is not None:
            raise NotSupported("This reranker takes no instruction; leave it out.", param="instruction")
        if request.normalize is False and self.model.architecture in _PROBABLE:
            raise NotSupported(
                "This model's numbers are probabilities already, there are none behind them; leave normalize out.",
                param="normalize",
            )

    def _scores(self, request: ScoreRequest, query: str, documents: list[str], first: int) -> Scores:
        asked = self._by_ids if self.model.documents_from is not None else self._by_texts
        found, cut = asked(query, documents)
        truncates = self.truncates if request.truncate is None else request.truncate
        if cut and not truncates:
            place = f"documents[{first + cut[0]}]"
            raise ContextLengthExceeded(
                f"{place} and the query are longer than the {self.limit} tokens that the model reads together; "
                "shorten them, or send truncate=true.",
                param=place,
            )
        numbers = [float(row[0]) for row in found.rows]
        keeps = request.normalize is False or self.model.architecture in _PROBABLE
        scores = numbers if keeps else [_sigmoid(number) for number in numbers]
        return Scores(scores=scores, prompt_tokens=found.tokens, truncated=cut)

    def _by_ids(self, query: str, documents: Sequence[str]) -> tuple[Vectors, tuple[int, ...]]:
        """Of models that were converted here: both texts side by side as cross-encoders read them."""
        start, end, offset = *_borders(self.model), self.model.documents_from or 0
        room = self.limit - FRAME
        read = self._words(query)
        pairs: list[str | list[int]] = []
        cut: list[int] = []
        for place, document in enumerate(documents):
            words = self._words(document)
            one, other = share(len(read), len(words), room)
            if (one, other) != (len(read), len(words)):
                cut.append(place)
            second = [token + offset for token in (*words[:other], end)]
            pairs.append([start, *read[:one], end, *second])
        return self.binding.embed(pairs, normal=False), tuple(cut)

    def _by_texts(self, query: str, documents: Sequence[str]) -> tuple[Vectors, tuple[int, ...]]:
        """Of any other model: as its file says that query and document are put together."""
        room = self.limit - len(self._words(query)) - FRAME - SPARE
        kept: list[str] = []
        cut: list[int] = []
        for place, document in enumerate(documents):
            words = self._words(document) if len(document.encode()) > room else []
            if len(words) > room:
                cut.append(place)
            kept.append(self.binding.detokenize(words[: max(room, 0)]) if len(words) > room else document)
        return self.binding.rank(query, kept), tuple(cut)

    def _words(self, text: str) -> list[int]:
        return self.binding.tokenize(text, add_special=False) if text else []


def share(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts is kept where both do not fit: of the longer one less, of both the same at last."""
    if first + second <= room:
        return first, second
    if min(first, second) <= room // 2:
        return (first, room - first) if first <= second else (room - second, second)
    return (room // 2, room - room // 2) if first <= second else (room - room // 2, room // 2)


def _borders(model: ModelFile) -> tuple[int, int]:
    start, end = model.number("tokenizer.ggml.bos_token_id"), model.separator
    if start is None or end is None:
        raise LaunchFailed("The file names no tokens around texts; convert the model again.")
    return start, end


def _text(one: Any, place: str) -> str:
    if isinstance(one, str):
        return one
    if set(one) != {"text"}:
        raise NotSupported(f"{place} may have `text` only: this reranker reads nothing else.", param=place)
    return str(one["text"])


def _sigmoid(number: float) -> float:
    return 1 / (1 + exp(-number)) if number >= 0 else exp(number) / (1 + exp(number))
