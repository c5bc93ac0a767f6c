"""A step that fails ends its requests and nothing else; closing ends everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch
from torch import nn

from enginehouse.sdk import ContextLengthExceeded, EngineFailed, GenerateRequest, LaunchFailed, NotReady, Sampling
from enginehouse_transformers.batching import SlottedBatch
from enginehouse_transformers.engine import TransformersEngine


class Fuse(nn.Module):
    """Stands in front of a model and raises `error` in place of its next pass.

    poison: a token behind which everything is NaN.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.error: Exception | None = None
        self.poison: int | None = None

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("_modules", {})
        return own[name] if name in own else getattr(own["model"], name)

    def forward(self, **inputs: Any) -> Any:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        out = self.model(**inputs)
        if self.poison is not None:
            out.logits[inputs["input_ids"][:, -1] == self.poison] = torch.nan
        return out


class Stumbling(SlottedBatch):
    """Raises once, when a request is cancelled."""

    stumbles = True

    def drop(self, gone: Any) -> None:
        if self.stumbles and any(sequence.cancelled for sequence in gone):
            self.stumbles = False
            raise RuntimeError("the cache was gone")
        super().drop(gone)


@pytest.fixture
def fused(model_folder: Any, start: Any) -> tuple[TransformersEngine, Fuse]:
    engine = start(model_folder("llama"))
    batch = engine._scheduler._batch
    batch._model = Fuse(batch._model)
    return engine, batch._model


async def test_a_failing_step_fails_its_requests_and_the_engine_goes_on(fused: Any, ask: Any) -> None:
    engine, fuse = fused
    before = (await ask(engine, "abc", max_tokens=5, temperature=0)).text
    fuse.error = ValueError("the model broke")
    with pytest.raises(EngineFailed, match=r"ValueError.*the model broke"):
        await ask(engine, "abc", max_tokens=5)
    assert (await ask(engine, "abc", max_tokens=5, temperature=0)).text == before


async def test_running_answers_fail_together_and_say_when_memory_ran_out(fused: Any, ask: Any) -> None:
    engine, fuse = fused
    asked = [asyncio.create_task(ask(engine, "abc", ignore_eos=True)) for _ in range(3)]
    async with asyncio.timeout(10):
        while len(engine._scheduler._batch.running) < 3:
            await asyncio.sleep(0.001)
    fuse.error = torch.OutOfMemoryError("2 GiB more wanted")
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(result, EngineFailed) and "max_batch" in result.message for result in results)
    assert (await ask(engine, "abc", max_tokens=5)).tokens == 5


@pytest.mark.parametrize(
    "sampling", [{"temperature": 0}, {"seed": 1}, {"seed": 1, "top_k": 5}, {"seed": 1, "top_p": 0.5, "logprobs": 1}]
)
async def test_nan_fails_its_own_request_and_no_other(fused: Any, ask: Any, sampling: Any) -> None:
    engine, fuse = fused
    wish = {"max_tokens": 4, "ignore_eos": True, **sampling}
    alone = await ask(engine, [5, 6, 7], **wish)
    fuse.poison = 9
    asked = [ask(engine, ids, **wish) for ids in ([5, 6, 7], [5, 6, 9], [5, 6, 7])]
    first, poisoned, last = await asyncio.gather(*asked, return_exceptions=True)
    assert first.text == last.text == alone.text
    assert isinstance(poisoned, EngineFailed) and "NaN" in poisoned.message
    async with asyncio.timeout(30):
        while engine._scheduler._batch.running:  # tokens go out before their sequences leave
            await asyncio.sleep(0.001)


async def test_what_goes_wrong_between_steps_fails_requests_not_the_engine(
    model_folder: Any, start: Any, ask: Any
) -> None:
    engine = start(model_folder("llama"))
    before = (await ask(engine, "abc", max_tokens=5, temperature=0)).text
    engine._scheduler._batch.__class__ = Stumbling
    running = asyncio.create_task(ask(engine, "abc", ignore_eos=True))
    pieces = engine.generate(GenerateRequest(request_id="r", prompt="abc", sampling=Sampling(ignore_eos=True)))
    await anext(pieces)
    await pieces.aclose()
    with pytest.raises(EngineFailed, match="the cache was gone"):
        await running
    assert (await ask(engine, "abc", max_tokens=5, temperature=0)).text == before


async def test_a_prompt_of_a_megabyte_is_refused_with_its_length(llama: Any, ask: Any) -> None:
    with pytest.raises(ContextLengthExceeded, match="1000000 tokens"):
        await ask(llama, "ab" * 500_000)


async def test_close_fails_what_runs_and_refuses_what_comes(model_folder: Any, start: Any, ask: Any) -> None:
    engine = start(model_folder("llama"))
    asked = asyncio.create_task(ask(engine, "abc", ignore_eos=True))
    async with asyncio.timeout(10):
        while not engine._scheduler._batch.running:
            await asyncio.sleep(0.001)
    await asyncio.to_thread(engine.close)
    with pytest.raises(EngineFailed, match="closed"):
        await asked
    with pytest.raises(NotReady):
        await ask(engine, "abc")
    engine.close()


def test_a_folder_that_holds_no_model_is_said_to(start: Any, tmp_path: Any) -> None:
    with pytest.raises(LaunchFailed, match="tokenizer"):
        start(tmp_path)


def test_weights_that_are_missing_are_said_to_be(start: Any, tmp_path: Any, model_folder: Any) -> None:
    for file in model_folder("llama").iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(LaunchFailed, match="could not be loaded"):
        start(tmp_path)
