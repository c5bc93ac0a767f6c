"""What one request gets: counts, reasons, errors, sampling, logprobs."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from enginehouse.sdk import BadRequest, ContextLengthExceeded, GenerateRequest, Overloaded, Sampling


async def test_counts_and_reason_of_an_answer_that_is_cut(llama: Any, ask: Any) -> None:
    answer = await ask(llama, "hello world", max_tokens=7, temperature=0, ignore_eos=True)
    assert answer.tokens == 7 and answer.finish_reason == "length"
    assert answer.pieces[0].prompt_tokens == len(llama.tokenize("hello world"))
    assert [piece.prompt_tokens for piece in answer.pieces[1:]] == [None] * (len(answer.pieces) - 1)
    assert [piece.finish_reason for piece in answer.pieces[:-1]] == [None] * (len(answer.pieces) - 1)


async def test_a_stop_token_ends_the_answer_and_is_counted_but_not_spelt(llama: Any, ask: Any) -> None:
    free = await ask(llama, "abc", max_tokens=12, temperature=0, ignore_eos=True, logprobs=0)
    ids = [found.token_id for found in free.logprobs]
    stop = ids[6]
    answer = await ask(llama, "abc", max_tokens=12, temperature=0, stop_token_ids=(stop,), ignore_eos=True)
    kept = ids[: ids.index(stop)]
    assert answer.finish_reason == "stop" and answer.tokens == len(kept) + 1
    assert answer.text == llama.detokenize(kept)


async def test_the_models_end_of_text_ends_an_answer_unless_ignored(llama: Any, ask: Any) -> None:
    ended = await ask(llama, "abc", max_tokens=9, temperature=0, logit_bias={0: 100.0})
    assert (ended.finish_reason, ended.tokens, ended.text) == ("stop", 1, "")
    ignored = await ask(llama, "abc", max_tokens=9, temperature=0, logit_bias={0: 100.0}, ignore_eos=True)
    assert (ignored.finish_reason, ignored.tokens, ignored.text) == ("length", 9, "")


async def test_special_tokens_are_spelt_out_for_parsers_only(llama: Any) -> None:
    sampling = Sampling(max_tokens=3, temperature=0, logit_bias={0: 100.0}, ignore_eos=True)
    texts = []
    for keep in (False, True):
        request = GenerateRequest(request_id="r", prompt="abc", sampling=sampling, keep_special_tokens=keep)
        texts.append("".join([piece.text async for piece in llama.generate(request)]))
    assert texts == ["", llama.convert_ids_to_tokens([0])[0] * 3]


async def test_max_tokens_is_clamped_to_the_context(llama: Any, ask: Any) -> None:
    assert llama.context_length == 256
    answer = await ask(llama, [5] * 250, max_tokens=1000, ignore_eos=True)
    assert answer.tokens == 6 and answer.finish_reason == "length"
    assert (await ask(llama, [5] * 255, ignore_eos=True)).tokens == 1


async def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(llama: Any, ask: Any) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"256 tokens.*256"):
        await ask(llama, [5] * 256)


@pytest.mark.parametrize(
    ("prompt", "sampling"),
    [("", {}), ([], {}), ([-1], {}), ([320], {}), ("a", {"logit_bias": {320: 1.0}}), ("a", {"logit_bias": {-1: 1.0}})],
)
async def test_impossible_requests_are_refused(llama: Any, ask: Any, prompt: Any, sampling: Any) -> None:
    with pytest.raises(BadRequest):
        await ask(llama, prompt, **sampling)


async def test_max_context_caps(model_folder: Any, start: Any, ask: Any) -> None:
    engine = start(model_folder("llama"), max_context=20)
    assert engine.context_length == 20
    assert (await ask(engine, [5] * 10, ignore_eos=True)).tokens == 10


async def test_a_seed_gives_the_same_answer_in_any_company(llama: Any, ask: Any) -> None:
    wishes = [
        {},
        {"top_p": 0.9},
        {"top_k": 20},
        {"min_p": 0.05},
        {"top_k": 30, "top_p": 0.8, "repetition_penalty": 1.2},
    ]
    own = [{"seed": 11, "temperature": 1.3, "max_tokens": 24, **wish} for wish in wishes]
    by_itself = [(await ask(llama, "abc", **sampling)).text for sampling in own]
    others = [{"temperature": 0, "max_tokens": 40}, {"max_tokens": 9}, {"seed": 5, "top_p": 0.5, "max_tokens": 30}]
    answers = await asyncio.gather(
        *(ask(llama, f"abc{'' if s in own else 'd'}", **s) for s in [*others, *own, *others])
    )
    assert [answer.text for answer in answers[3:-3]] == by_itself
    assert len(set(by_itself)) > 1


async def test_without_a_seed_answers_differ(llama: Any, ask: Any) -> None:
    answers = await asyncio.gather(*(ask(llama, "abc", temperature=2.0, max_tokens=16) for _ in range(3)))
    assert len({answer.text for answer in answers}) == 3


async def test_logprobs_are_the_models_own_and_alternatives_are_sorted(llama: Any, ask: Any, model_folder: Any) -> None:
    ids = llama.tokenize("hello")
    answer = await ask(llama, ids, max_tokens=4, temperature=0.7, top_k=3, seed=1, logprobs=5, ignore_eos=True)
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"))
    for found in answer.logprobs:
        with torch.inference_mode():
            expected = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        assert math.isclose(found.logprob, expected[found.token_id].item(), abs_tol=1e-4)
        assert [pair[1] for pair in found.top] == pytest.approx(expected.topk(5).values.tolist(), abs=1e-4)
        assert found.text == llama._token_text(found.token_id)
        ids = [*ids, found.token_id]
    assert len(answer.logprobs) == answer.tokens


async def test_closing_the_generator_frees_the_place_at_the_next_step(llama: Any) -> None:
    request = GenerateRequest(request_id="r", prompt="abc", sampling=Sampling(temperature=0, ignore_eos=True))
    pieces = llama.generate(request)
    await anext(pieces)
    await pieces.aclose()
    async with asyncio.timeout(5):
        while llama._scheduler._batch.running:
            await asyncio.sleep(0.001)
    assert not llama._scheduler._batch.running


async def test_too_many_waiting_requests_are_refused(model_folder: Any, start: Any) -> None:
    engine = start(model_folder("llama"), max_batch=1, max_waiting=1)
    sampling = Sampling(temperature=0, ignore_eos=True)
    running = [engine.generate(GenerateRequest(request_id="r", prompt=[at + 5], sampling=sampling)) for at in range(3)]
    await anext(running[0])
    second = asyncio.create_task(anext(running[1]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await anext(running[2])
    assert caught.value.retry_after == 1
    await running[0].aclose()
    await asyncio.wait_for(second, 10)
    await running[1].aclose()
