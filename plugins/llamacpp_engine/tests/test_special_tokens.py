"""Special tokens are in the text when a parser looks for them, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from enginehouse.sdk import GenerateRequest, Sampling


@pytest.mark.parametrize("keep", [False, True])
async def test_special_tokens_are_spelt_out_for_parsers_only(engine: Any, keep: bool) -> None:
    (start,) = engine.tokenize("<|im_start|>", special_tokens=True)
    sampling = Sampling(max_tokens=3, temperature=0, logit_bias={start: 100.0}, ignore_eos=True)
    request = GenerateRequest(request_id="r", prompt="abc", sampling=sampling, keep_special_tokens=keep)
    text = "".join([piece.text async for piece in engine.generate(request)])
    assert text == ("<|im_start|>" * 3 if keep else "")


@pytest.mark.parametrize("keep", [False, True])
async def test_what_ends_an_answer_is_never_spelt_out(engine: Any, keep: bool) -> None:
    (end,) = engine.tokenize("<|im_end|>", special_tokens=True)
    sampling = Sampling(max_tokens=3, temperature=0, logit_bias={end: 100.0})
    request = GenerateRequest(request_id="r", prompt="abc", sampling=sampling, keep_special_tokens=keep)
    pieces = [piece async for piece in engine.generate(request)]
    assert ("".join(piece.text for piece in pieces), pieces[-1].finish_reason) == ("", "stop")
