"""What goes wrong stays with whoever caused it, and memory stays where it is."""

import asyncio
import gc
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from enginehouse.sdk import LaunchFailed, Overloaded, TooLarge
from enginehouse_sentence_transformers.lanes import Lanes, Width
from enginehouse_sentence_transformers.model import Result
from enginehouse_sentence_transformers.words import Tokens

PAGE = resource.getpagesize()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def test_too_many_inputs(model_folder, start, embed) -> None:
    engine = start(model_folder("bert mean"), max_inputs=10)
    assert (await embed(engine, ["a"] * 10)).tokens == 30
    with pytest.raises(TooLarge, match="several requests"):
        await embed(engine, ["a"] * 11)


async def test_the_longest_input_is_read_as_far_as_it_counts(model_folder, start, embed) -> None:
    answer = await embed(start(model_folder("bert mean")), ["cat " * 250_000, [5] * 100_000])
    assert (answer.tokens, answer.truncated) == (96, [0, 1])


async def test_a_broken_checkpoint_gives_what_the_runner_refuses(model_folder, start, embed, tmp_path) -> None:
    """NaN is passed on as it is: the runner tells each caller of its own."""
    folder = tmp_path / "broken"
    for file in model_folder("bert mean").rglob("*"):
        if file.is_file():
            place = folder / file.relative_to(model_folder("bert mean"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    next(tensor for name, tensor in weights.items() if name.endswith("word_embeddings.weight"))[7:9] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    answer = await embed(start(folder), [[5], [7]])
    assert [bool(np.isfinite(row).all()) for row in answer.vectors] == [True, False]


@pytest.mark.parametrize("content", [b"", b"{", b'{"model_type": "no such"}'])
def test_a_folder_that_is_no_model(start, tmp_path, content) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(LaunchFailed, match="could not be loaded"):
        start(tmp_path)


async def test_a_caller_that_leaves_takes_its_inputs_along(model_folder, start, embed, texts) -> None:
    engine = start(model_folder("bert mean"))
    leaving = asyncio.create_task(embed(engine, texts(5000)))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert (await embed(engine, ["a cat"])).tokens == 4


def compute(batch: list[Tokens], kind: object) -> list[Result]:
    """Fails on what begins with 13; the sum of the ids for all else."""
    if any(tokens.ids[0] == 13 for tokens in batch):
        raise RuntimeError("thirteen")
    if any(tokens.ids[0] == 14 for tokens in batch):
        raise torch.OutOfMemoryError("fourteen")
    return [Result(sum(tokens.ids), len(tokens.ids)) for tokens in batch]


@pytest.fixture
async def lanes():
    made = Lanes(compute, 1000, Width(2, 0), 1000, lambda: None)
    yield made
    await asyncio.to_thread(made.close, 5.0)


async def test_a_fault_stays_with_its_caller(lanes) -> None:
    portions = {first: lanes.submit(object(), [Tokens([first, 1])] * 3, None) for first in (1, 13, 2, 14, 3)}
    async with asyncio.timeout(20):
        for first in (1, 2, 3):
            assert [result.row for result in await portions[first].done] == [first + 1] * 3
        with pytest.raises(Exception, match="thirteen"):
            await portions[13].done
        with pytest.raises(Overloaded, match="not enough memory"):
            await portions[14].done


async def test_too_much_waiting_is_refused_for_now() -> None:
    lanes = Lanes(compute, 1000, Width(0, 0), 100, lambda: None)
    lanes.admit()
    lanes.submit(object(), [Tokens([1] * 50)] * 2, None)
    with pytest.raises(Overloaded) as raised:
        lanes.admit()
    assert raised.value.retry_after


async def test_a_small_batch_keeps_to_one_core() -> None:
    """Of two cores; `compute` tells how many it was given."""
    lanes = Lanes(
        lambda batch, kind: [Result(torch.get_num_threads(), 1)] * len(batch), 1000, Width(1, 2, 20), 1000, int
    )
    try:
        async with asyncio.timeout(20):
            for tokens, cores in ((20, 1), (21, 2), (5, 1)):
                (result,) = await lanes.submit(object(), [Tokens([1] * tokens)], None).done
                assert result.row == cores
    finally:
        await asyncio.to_thread(lanes.close, 5.0)


@pytest.mark.slow
async def test_memory_is_flat_over_ten_thousand_requests(model_folder, start, embed, rank, texts) -> None:
    """After the first two thousand, which fill pools and caches."""
    embedder, ranker = start(model_folder("bert mean dense normalize")), start(model_folder("bert-pair"), "rerank")
    given = texts(500)
    numbers = np.random.default_rng(1)

    async def one(number: int) -> None:
        some = [given[place] for place in numbers.integers(0, 500, size=int(numbers.integers(1, 20)))]
        await (rank(ranker, some[0], some) if number % 3 == 0 else embed(embedder, some))

    seen = []
    for start_of in range(0, 10_000, 50):
        await asyncio.gather(*(one(number) for number in range(start_of, start_of + 50)))
        if start_of in (2000, 9950):
            gc.collect()
            seen.append(resident())
    assert seen[1] - seen[0] < 40 * 2**20, f"grew by {(seen[1] - seen[0]) / 2**20:.1f} MiB"
