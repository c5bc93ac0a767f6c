"""An engine asked directly, in this process, as the runner would ask it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from ..sdk import Constraint, GenerateRequest, Piece, Sampling, TokenLogprob

ANSWER_SECONDS = 60.0  # of the longest answer of a test, on a machine that does other things beside


class Answer(NamedTuple):
    """All pieces of an answer, and what they add up to."""

    pieces: list[Piece]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> int:
        return sum(piece.tokens for piece in self.pieces)

    @property
    def finish_reason(self) -> str | None:
        return self.pieces[-1].finish_reason

    @property
    def logprobs(self) -> list[TokenLogprob]:
        return [found for piece in self.pieces for found in piece.logprobs]


async def ask(
    engine: Any,
    prompt: str | list[int],
    *,
    special_tokens: bool = False,
    constraint: Constraint | None = None,
    lora_name: str | None = None,
    **sampling: Any,
) -> Answer:
    """The whole answer of `engine.generate`, whatever kind of method it is. sampling: fields of `Sampling`."""
    request = GenerateRequest(
        request_id="r",
        prompt=prompt,
        sampling=Sampling(**sampling),
        special_tokens=special_tokens,
        constraint=constraint,
        lora_name=lora_name,
    )
    async with asyncio.timeout(ANSWER_SECONDS):
        return Answer(await items_of(engine.generate(request)))


async def items_of(made: Any) -> list[Any]:
    """Everything that a task's method gives, in the order in which it comes."""
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, AsyncIterator):
        return [item async for item in made]
    return list(made) if isinstance(made, Iterator) else [made]
