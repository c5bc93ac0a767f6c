"""Whoever shares a batch, each answer is what the model alone would give."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from enginehouse.sdk import GenerateRequest, Sampling
from enginehouse_transformers.batching import SlottedBatch
from enginehouse_transformers.serial import SerialBatch

BATCHED = ("llama", "gpt2", "mistral", "gemma3_text", "gpt_neox")
ONE_BY_ONE = ("bloom", "mamba", "llama4_text")


def prompts(count: int, longest: int = 60) -> list[list[int]]:
    rng = random.Random(3)
    return [[rng.randrange(1, 256) for _ in range(rng.randrange(1, longest))] for _ in range(count)]


async def answer_ids(engine: Any, ids: list[int], length: int, after: float = 0.0) -> list[int]:
    """Greedy token ids of an answer, read from its logprobs."""
    await asyncio.sleep(after)
    sampling = Sampling(temperature=0, max_tokens=length, ignore_eos=True, logprobs=0)
    request = GenerateRequest(request_id="r", prompt=ids, sampling=sampling)
    return [found.token_id async for piece in engine.generate(request) for found in piece.logprobs]


@pytest.mark.parametrize("kind", [*BATCHED, *ONE_BY_ONE])
async def test_each_answer_of_a_mixed_batch_is_the_models_own(
    kind: str, model_folder: Any, start: Any, alone: Any
) -> None:
    folder = model_folder(kind)
    engine = start(folder, max_batch=5, prefill_chunk=16)
    expected_batch = SlottedBatch if kind in BATCHED else SerialBatch
    assert type(engine._scheduler._batch) is expected_batch
    asked = [(ids, 5 + 7 * at % 30) for at, ids in enumerate(prompts(12))]
    got = await asyncio.gather(*(answer_ids(engine, ids, n, at * 0.004) for at, (ids, n) in enumerate(asked)))
    assert got == [alone(folder, ids, n)[: len(found)] for (ids, n), found in zip(asked, got, strict=True)]
    assert [len(found) for found in got] == [n for _, n in asked]


async def test_serial_batching_can_be_asked_for(model_folder: Any, start: Any, alone: Any) -> None:
    engine = start(model_folder("llama"), batching="serial")
    ids = prompts(1)[0]
    assert await answer_ids(engine, ids, 9) == alone(model_folder("llama"), ids, 9)


async def test_eager_attention_gives_the_same(model_folder: Any, start: Any, alone: Any) -> None:
    engine = start(model_folder("mistral"), attn_implementation="eager")
    assert isinstance(engine._scheduler._batch, SlottedBatch)
    asked = prompts(4)
    got = await asyncio.gather(*(answer_ids(engine, ids, 20) for ids in asked))
    assert got == [alone(model_folder("mistral"), ids, 20) for ids in asked]


async def test_a_long_prompt_is_read_in_chunks_while_answers_run(model_folder: Any, start: Any, alone: Any) -> None:
    folder = model_folder("llama")
    engine = start(folder, prefill_chunk=8)
    short, long = [5, 6, 7], [9] * 150
    running = asyncio.create_task(answer_ids(engine, short, 120))
    leaving = asyncio.create_task(answer_ids(engine, [8], 10))
    late = await answer_ids(engine, long, 12, 0.01)
    assert late == alone(folder, long, 12)
    assert await running == alone(folder, short, 120)
    assert await leaving == alone(folder, [8], 10)


async def test_answers_that_do_not_fit_together_take_turns(model_folder: Any, start: Any, alone: Any) -> None:
    folder = model_folder("llama")
    room_for_tokens = 300 * 512  # bytes: two layers, keys and values, two heads of 16 floats
    engine = start(folder, cache_gib=room_for_tokens / 2**30)
    asked = prompts(6, longest=20)
    got = await asyncio.gather(*(answer_ids(engine, ids, 90) for ids in asked))
    assert got == [alone(folder, ids, 90) for ids in asked]
    assert engine._scheduler._batch._store.size <= room_for_tokens


async def test_memory_is_given_back_by_clear(model_folder: Any, start: Any, ask: Any) -> None:
    engine = start(model_folder("llama"))
    await ask(engine, "hello", max_tokens=3)
    store = engine._scheduler._batch._store
    assert store.slots > 0
    engine.close()
    assert store.slots == 0 and all(layer.keys is None for layer in store.cache.layers)
