"""Answers that go out in one piece: the same words in fewer pieces, ended and left as any other."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from enginehouse.sdk import GenerateRequest, Sampling

PROMPT = "<|im_start|>user\nCount from 1 to 20.<|im_end|>\n<|im_start|>assistant\n"
LONG = GenerateRequest(request_id="r", prompt=PROMPT, sampling=Sampling(temperature=0, max_tokens=200, ignore_eos=True))
ANSWER_SECONDS = 60.0


async def pieces_of(engine: Any, request: GenerateRequest) -> list[Any]:
    async with asyncio.timeout(ANSWER_SECONDS):
        return [piece async for piece in engine.generate(request)]


async def test_a_whole_answer_says_the_same(engine: Any) -> None:
    streamed = await pieces_of(engine, LONG)
    whole = await pieces_of(engine, msgspec.structs.replace(LONG, whole=True))
    for pieces in (streamed, whole):
        assert sum(piece.tokens for piece in pieces) == 200 and pieces[-1].finish_reason == "length"
        assert pieces[0].prompt_tokens == streamed[0].prompt_tokens
    assert "".join(piece.text for piece in whole) == "".join(piece.text for piece in streamed)


@pytest.mark.parametrize("whole", [False, True])
async def test_answers_that_end_at_once_never_wait_for_more(engine: Any, whole: bool) -> None:
    """Their only chunks and their end come nearly together, in whatever order the threads take turns."""
    sampling = Sampling(temperature=0, max_tokens=1)
    request = GenerateRequest(request_id="r", prompt=PROMPT, sampling=sampling, whole=whole)
    for _ in range(20):
        answers = await asyncio.gather(*(pieces_of(engine, request) for _ in range(8)))
        assert all(sum(piece.tokens for piece in pieces) == 1 for pieces in answers)


async def test_who_leaves_a_whole_answer_frees_the_slot(engine: Any) -> None:
    endless = msgspec.structs.replace(LONG, whole=True, sampling=Sampling(temperature=0, ignore_eos=True))

    async def leave() -> None:
        pieces = engine.generate(endless)
        await anext(pieces)
        await pieces.aclose()

    async with asyncio.timeout(ANSWER_SECONDS):
        await asyncio.gather(*(leave() for _ in range(24)))
    assert len(await pieces_of(engine, msgspec.structs.replace(LONG, whole=True))) > 0
