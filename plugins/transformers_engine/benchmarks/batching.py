"""Tokens per second of three ways to run one model, in one process, taken in turn.

    python plugins/transformers_engine/benchmarks/batching.py MODEL_FOLDER [ROUNDS]

`plain` is `model.generate`, one request at a time; `engine` is this plugin; `native` is the continuous batching
that transformers brings, with streamed results, as a server would use it. Greedy, 32 tokens an answer, medians.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, ContinuousBatchingConfig, GenerationConfig

from enginehouse.sdk import EngineContext, GenerateRequest, Sampling
from enginehouse_transformers.engine import TransformersEngine
from enginehouse_transformers.loading import threads_of
from enginehouse_transformers.options import TransformersOptions

TOKENS = 32
CONCURRENCIES = (1, 8, 32)
NO_END = 10**6  # an id that no token has, so that every answer has all its tokens
Ask = Callable[[str], Awaitable[int]]


def engine_of(folder: Path) -> TransformersEngine:
    engine = TransformersEngine(
        EngineContext(model_uid="m", model_path=folder, device="cpu", options=TransformersOptions())
    )
    engine.load()
    return engine


def asking_engine(engine: TransformersEngine) -> Ask:
    sampling = Sampling(temperature=0, max_tokens=TOKENS, ignore_eos=True)

    async def ask(prompt: str) -> int:
        request = GenerateRequest(request_id=prompt, prompt=prompt, sampling=sampling)
        return sum([piece.tokens async for piece in engine.generate(request)])

    return ask


def asking_plain(model: Any, tokenizer: Any) -> Ask:
    async def ask(prompt: str) -> int:
        ids = torch.tensor([tokenizer.encode(prompt)])
        with torch.inference_mode():
            model.generate(ids, max_new_tokens=TOKENS, do_sample=False, eos_token_id=NO_END, pad_token_id=0)
        return TOKENS

    return ask


def asking_native(manager: Any, tokenizer: Any) -> Ask:
    async def ask(prompt: str) -> int:
        done = asyncio.Event()
        request_id = f"{prompt} {time.perf_counter()}"

        def heard(output: Any) -> None:
            if output.is_finished():
                done.set()

        manager.register_result_handler(request_id, heard)
        ids = tokenizer.encode(prompt)
        manager.add_request(ids, request_id=request_id, max_new_tokens=TOKENS, streaming=True, eos_token_id=NO_END)
        await asyncio.wait_for(done.wait(), 60)
        return TOKENS

    return ask


def native_manager(folder: Path) -> Any:
    model = AutoModelForCausalLM.from_pretrained(folder)
    manager = model.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, max_new_tokens=TOKENS, eos_token_id=NO_END),
        continuous_batching_config=ContinuousBatchingConfig(page_size=32, num_blocks=256, max_batch_tokens=512),
    )
    manager.start()
    return manager


async def rate(ask: Ask, concurrency: int) -> float:
    begun = time.perf_counter()
    tokens = await asyncio.gather(*(ask(f"Tell me about number {index}") for index in range(concurrency)))
    return sum(tokens) / (time.perf_counter() - begun)


async def measure(folder: Path, rounds: int) -> dict[tuple[str, int], list[float]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine, manager = engine_of(folder), native_manager(folder)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    torch.set_num_threads(threads_of(TransformersOptions(), plain) or torch.get_num_threads())
    ways = {
        "plain": asking_plain(plain, tokenizer),
        "engine": asking_engine(engine),
        "native": asking_native(manager, tokenizer),
    }
    found: dict[tuple[str, int], list[float]] = {}
    for turn in range(rounds + 1):
        for way, ask in ways.items():
            for concurrency in CONCURRENCIES:
                reached = await rate(ask, concurrency)
                if turn:  # the first turn warms up
                    found.setdefault((way, concurrency), []).append(reached)
    manager.stop(block=True)
    engine.close()
    return found


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main(folder: Path, rounds: int = 7) -> None:
    found = {key: statistics.median(rates) for key, rates in asyncio.run(measure(folder, rounds)).items()}
    say(f"tokens/s, medians of {rounds}; in brackets the ratio to plain, one at a time")
    say("concurrency " + "".join(f"{count:>18}" for count in CONCURRENCIES))
    base = found["plain", 1]
    for way in ("plain", "engine", "native"):
        cells = (f"{found[way, count]:.0f} ({found[way, count] / base:.2f}x)" for count in CONCURRENCIES)
        say(f"{way:<12}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(word) for word in sys.argv[2:]))
