"""Queries and documents as sequences for a reranker, and its numbers as scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from enginehouse.sdk import ContextLengthExceeded, NotSupported, ScoreRequest

from .inputs import RAW_CHARACTERS
from .words import Frame, Tokens, Words, share

Numbers = np.ndarray[Any, Any]


class Pairing(Protocol):
    """How a reranker reads a query with each of some documents."""

    def kind(self, request: ScoreRequest) -> Any:
        """What must be the same in a batch. Raises NotSupported for what the model cannot do."""
        ...

    def sequences(self, request: ScoreRequest, documents: Sequence[str]) -> list[Tokens]: ...


class SegmentPairs(NamedTuple):
    """Query and document side by side, as cross-encoders read them."""

    words: Words
    frame: Frame

    def kind(self, request: ScoreRequest) -> None:
        if request.instruction is not None:
            raise NotSupported("This reranker takes no instruction; leave it out.", param="instruction")

    def sequences(self, request: ScoreRequest, documents: Sequence[str]) -> list[Tokens]:
        limit = self.words.limit
        query, *rest = self.words.encode([text_of(request.query), *documents], limit)
        return [self._pair(query, document, limit) for document in rest]

    def _pair(self, query: list[int], document: list[int], limit: int | None) -> Tokens:
        if limit is None:
            return self.frame.pair(query, document)
        room = max(limit - self.frame.length, 0)
        first, second = share(len(query), len(document), room)
        pair = self.frame.pair(query[:first], document[:second])
        return pair._replace(cut=(first, second) != (len(query), len(document)))


class Judgement(NamedTuple):
    """A conversation that asks a language model whether the document answers the query (the form of Qwen3-Reranker).

    before, after: token ids of what stands around; instruction: where the request gives none.
    """

    words: Words
    before: list[int]
    after: list[int]
    instruction: str

    def kind(self, request: ScoreRequest) -> None:
        return None

    def sequences(self, request: ScoreRequest, documents: Sequence[str]) -> list[Tokens]:
        instruction = request.instruction or self.instruction
        head = f"<Instruct>: {instruction}\n<Query>: {text_of(request.query)}\n<Document>: "
        limit = self.words.limit
        room = None if limit is None else max(limit - len(self.before) - len(self.after), 0)
        bodies = self.words.encode([head + document for document in documents], limit)
        return [self._sequence(body, room) for body in bodies]

    def _sequence(self, body: list[int], room: int | None) -> Tokens:
        kept = body if room is None else body[:room]
        return Tokens([*self.before, *kept, *self.after], cut=len(kept) < len(body))


class RawPairs(NamedTuple):
    """Pairs that only the model's own processor can read. takes_instruction: as its prompt."""

    takes_instruction: bool

    def kind(self, request: ScoreRequest) -> str | None:
        if request.instruction is not None and not self.takes_instruction:
            raise NotSupported("This reranker takes no instruction; leave it out.", param="instruction")
        return request.instruction

    def sequences(self, request: ScoreRequest, documents: Sequence[str]) -> list[Tokens]:
        query = text_of(request.query)
        return [Tokens((), raw=(query, one), cost=1 + (len(query) + len(one)) // RAW_CHARACTERS) for one in documents]


class Scoring(NamedTuple):
    """How a reranker is asked. activation: what the model makes of its numbers when nobody says otherwise."""

    pairing: Pairing
    activation: Callable[[torch.Tensor], torch.Tensor]
    truncates: bool

    def finished(self, request: ScoreRequest, numbers: Numbers) -> list[float]:
        """Scores from the model's numbers."""
        if request.normalize is False:
            return [float(number) for number in numbers]
        activation = torch.sigmoid if request.normalize else self.activation
        made: list[float] = activation(torch.from_numpy(numbers)).tolist()
        return made

    def check(self, request: ScoreRequest, sequences: Sequence[Tokens], first: int) -> None:
        """Raises ContextLengthExceeded for a document that is too long where cutting is not wanted."""
        truncates = self.truncates if request.truncate is None else request.truncate
        for place, tokens in enumerate(sequences, first):
            if tokens.cut and not truncates:
                raise ContextLengthExceeded(
                    f"documents[{place}] and the query are longer than the model reads together; shorten them, or "
                    "send truncate=true.",
                    param=f"documents[{place}]",
                )


def text_of(one: Any, place: str = "query") -> str:
    """The text of a query or document. Raises NotSupported where it has something else."""
    if isinstance(one, str):
        return one
    if set(one) != {"text"}:
        raise NotSupported(f"{place} may have `text` only: this reranker reads nothing else.", param=place)
    return str(one["text"])
