"""An engine that embeds and ranks by counting letters: what it makes can be told from what it was asked."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from enginehouse.sdk import BadRequest, EmbedRequest, ScoreRequest, Scores, Vectors


class Letters:
    """A vector is (letters, 1 if normalised, position). Texts with a meaning: see `_row`."""

    def __init__(self, context: Any) -> None: ...

    def load(self) -> None: ...

    def close(self) -> None: ...

    async def embed(self, request: EmbedRequest) -> AsyncIterator[Vectors]:
        """In pieces of two inputs."""
        if request.inputs[0] == "request":
            row = {msgspec.json.encode(request).decode(): 1.0}
            yield Vectors(rows=[row], prompt_tokens=1)
            return
        for start in range(0, len(request.inputs), 2):
            part = request.inputs[start : start + 2]
            rows = [self._row(one, request, start + place) for place, one in enumerate(part)]
            cut = tuple(place for place, one in enumerate(part) if len(one) > 10)
            yield Vectors(rows=rows, prompt_tokens=sum(map(len, part)), truncated=cut)

    def _row(self, one: Any, request: EmbedRequest, number: int) -> Any:
        if one == "nan":
            return [math.nan, 0.0, 0.0]
        if one == "refuse":
            raise BadRequest("not this one", param=f"input[{number}]")
        if request.sparse:
            return {"letters": float(len(one))}
        row = array("f", [len(one), request.normalize or 0, number])
        return row.tobytes() if number % 2 else list(row)

    def rerank(self, request: ScoreRequest) -> Iterator[Scores]:
        """Longer is better; with `normalize`, a tenth of it."""
        scale = 0.1 if request.normalize else 1.0
        for document in request.documents:
            if document == "nan":
                yield Scores(scores=[math.nan], prompt_tokens=1)
                return
            text = document if isinstance(document, str) else document["text"]
            yield Scores(
                scores=[len(text) * scale], prompt_tokens=len(text) + 1, truncated=(0,) if len(text) > 10 else ()
            )
