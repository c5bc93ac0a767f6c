"""The task `embed`: many inputs of many callers through the slots of one server."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from math import sqrt
from typing import Any, NamedTuple

from enginehouse.sdk import (
    BadRequest,
    ContextLengthExceeded,
    EmbedRequest,
    NotSupported,
    Vectors,
)

from .binding import Binding
from .model_file import ModelFile

GROUP = 32  # inputs asked for at a time, so that a huge request leaves room for others between its groups
SPECIAL_TOKENS = 4  # that a model puts around a text at most


class Embedding(NamedTuple):
    """What embeds. limit: tokens that are read of one input. truncates: whether longer ones are cut, or refused."""

    binding: Binding
    threads: Executor
    limit: int
    model: ModelFile
    truncates: bool

    async def embed(self, request: EmbedRequest) -> AsyncIterator[Vectors]:
        """The vectors of all inputs, a group at a time. Raises BadRequest that names the input."""
        self._check(request)
        for first in range(0, len(request.inputs), GROUP):
            inputs = request.inputs[first : first + GROUP]
            ids, cut = await self._run(self._read, inputs, first, request)
            yield await self._run(self._vectors, ids, cut, request)

    async def _run(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)

    def _check(self, request: EmbedRequest) -> None:
        if request.sparse:
            raise NotSupported("llama.cpp makes no sparse vectors; leave return_sparse out.", param="return_sparse")
        if request.prompt_name is not None:
            raise NotSupported("A GGUF file names no prompts; give the text as `prompt`.", param="prompt_name")
        most = self.model.hidden_size
        if request.dimensions is not None and most is not None and request.dimensions > most:
            raise BadRequest(
                f"This model's vectors have {most} dimensions, so there are no {request.dimensions}.",
                param="dimensions",
            )

    def _read(
        self, inputs: Sequence[Any], first: int, request: EmbedRequest
    ) -> tuple[list[str | list[int]], tuple[int, ...]]:
        """The inputs as llama.cpp takes them, and the positions of those that were cut."""
        limit = min(request.max_tokens or self.limit, self.limit)
        truncates = self.truncates if request.truncate is None else request.truncate
        read: list[str | list[int]] = []
        cut: list[int] = []
        for position, one in enumerate(inputs):
            place = f"input[{first + position}]"
            whole = one if isinstance(one, list) else (request.prompt or "") + _text(one, place)
            if not whole:
                raise BadRequest(f"{place} is empty; give a text or token ids.", param=place)
            kept = self._shortened(whole, limit)
            if kept is not None:
                if not (truncates or request.max_tokens):
                    raise ContextLengthExceeded(
                        f"{place} is longer than the {limit} tokens that are read of one; shorten it, "
                        "or send truncate=true.",
                        param=place,
                    )
                cut.append(position)
            read.append(whole if kept is None else kept)
        return read, tuple(cut)

    def _shortened(self, whole: str | list[int], limit: int) -> list[int] | None:
        """The first tokens of an input that has more than `limit`; None of one that has not."""
        if isinstance(whole, str):
            if len(whole.encode()) + SPECIAL_TOKENS <= limit:  # no token is shorter than a byte
                return None
            ids = self.binding.tokenize(whole, add_special=True)
        else:
            ids = whole
        if len(ids) <= limit:
            return None
        end = self.model.separator  # of models that end each text with one
        return [*ids[: limit - 1], end] if end is not None and ids[-1] == end else ids[:limit]

    def _vectors(self, inputs: list[str | list[int]], cut: tuple[int, ...], request: EmbedRequest) -> Vectors:
        normal = request.normalize is not False
        found = self.binding.embed(inputs, normal=normal)
        rows = found.rows
        if request.dimensions is not None:
            rows = [_shorter(row, request.dimensions, normal=normal) for row in rows]
        return Vectors(rows=[array("f", row).tobytes() for row in rows], prompt_tokens=found.tokens, truncated=cut)


def _text(part: Any, place: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and set(part) == {"text"}:
        return str(part["text"])
    raise NotSupported(f"{place} is no text, and this engine reads text only.", param=place)


def _shorter(row: Sequence[float], dimensions: int, *, normal: bool) -> list[float]:
    """The first numbers of a vector, made as long as one again."""
    kept = list(row[:dimensions])
    length = sqrt(sum(number * number for number in kept)) if normal else 1.0
    return [number / length for number in kept] if length else kept
