"""Vectors: those of transformers, cut, counted, refused; beside answers of the same model."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from enginehouse.sdk import BadRequest, ContextLengthExceeded, EmbedRequest, NotSupported
from enginehouse_llamacpp.engine import LlamaCppEngine

TEXTS = ("The blue whale is the largest animal.", "Count from 1 to 20.", "x", "Grüße 你好 🎉 " * 10)
Embed = Callable[..., Any]


@pytest.fixture(scope="module")
def embedder(stoker: Path, start: Any) -> LlamaCppEngine:
    context = {"context_length": 1024, "tasks": ("chat", "generate", "embed")}
    return asyncio.run(start(stoker, context=context, cache_type_k="f32", cache_type_v="f32"))


@pytest.fixture
def embed(embedder: LlamaCppEngine) -> Embed:
    """`await embed(inputs, **fields)`: vectors, tokens read, positions of inputs that were cut."""

    async def run(inputs: Any, **fields: Any) -> tuple[list[list[float]], int, list[int]]:
        rows: list[list[float]] = []
        read, cut = 0, []
        async with asyncio.timeout(60):
            async for vectors in embedder.embed(EmbedRequest(request_id="r", inputs=inputs, **fields)):
                cut += [len(rows) + position for position in vectors.truncated]
                rows += [array("f", row).tolist() for row in vectors.rows]
                read += vectors.prompt_tokens
        return rows, read, cut

    return run


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (length(one) * length(other))


def length(row: list[float]) -> float:
    return sqrt(sum(number * number for number in row))


@pytest.mark.parametrize("pooling", ["mean", "last", "cls"])
async def test_vectors_are_those_of_transformers(stoker: Path, stoker_folder: Path, start: Any, pooling: str) -> None:
    engine = await start(stoker, context={"tasks": ("embed",)}, pooling=pooling, cache_type_k="f32", cache_type_v="f32")
    tokenizer, model = AutoTokenizer.from_pretrained(stoker_folder), AutoModel.from_pretrained(stoker_folder).eval()
    request = EmbedRequest(request_id="r", inputs=TEXTS)
    rows = [array("f", row).tolist() async for vectors in engine.embed(request) for row in vectors.rows]
    for text, row in zip(TEXTS, rows, strict=True):
        with torch.inference_mode():
            states = model(torch.tensor([tokenizer.encode(text)])).last_hidden_state[0]
        wanted = {"mean": states.mean(0), "last": states[-1], "cls": states[0]}[pooling].tolist()
        assert cosine(row, wanted) > 0.9999 and length(row) == pytest.approx(1, abs=1e-4)


async def test_many_callers_get_their_own(embed: Embed) -> None:
    alone = [(await embed([text]))[0][0] for text in TEXTS]
    together = await asyncio.gather(*(embed([TEXTS[index % 4]] * (1 + index)) for index in range(12)))
    for index, (rows, _, _) in enumerate(together):
        assert len(rows) == 1 + index
        assert all(cosine(row, alone[index % 4]) > 0.9999 for row in rows)


async def test_more_inputs_than_a_group_keep_their_order(embed: Embed) -> None:
    texts = [f"text number {number}" for number in range(100)]
    rows, read, cut = await embed(texts)
    assert len(rows) == 100 and not cut
    assert cosine(rows[77], (await embed([texts[77]]))[0][0]) > 0.9999
    assert read == sum([(await embed([text]))[1] for text in texts])


async def test_token_ids_are_taken(embed: Embed, embedder: LlamaCppEngine) -> None:
    ids = embedder.tokenize(TEXTS[0])
    by_ids, read, _ = await embed([ids])
    assert read == len(ids) and cosine(by_ids[0], (await embed([TEXTS[0]]))[0][0]) > 0.9999
    with pytest.raises(BadRequest):
        await embed([[99999]])


async def test_a_vector_is_cut_and_made_long_again(embed: Embed) -> None:
    whole = (await embed([TEXTS[0]]))[0][0]
    (short,), _, _ = await embed([TEXTS[0]], dimensions=32)
    assert len(short) == 32 and length(short) == pytest.approx(1, abs=1e-5)
    assert cosine(short, whole[:32]) > 0.9999
    with pytest.raises(BadRequest, match="192"):
        await embed([TEXTS[0]], dimensions=193)


async def test_normalising_can_be_left_out(embed: Embed) -> None:
    (plain,), _, _ = await embed([TEXTS[0]], normalize=False)
    (normal,), _, _ = await embed([TEXTS[0]])
    assert length(plain) > 2 and cosine(plain, normal) > 0.9999


async def test_what_is_too_long_is_cut_or_refused(embed: Embed, embedder: LlamaCppEngine) -> None:
    rows, read, cut = await embed(["x", "word " * 3000, "y"])
    assert cut == [1] and len(rows) == 3 and read == 1024 + 2
    with pytest.raises(ContextLengthExceeded, match=r"input\[1\]"):
        await embed(["x", "word " * 3000], truncate=False)
    _, read, cut = await embed([TEXTS[0]], max_tokens=3)
    assert (read, cut) == (3, [0])
    ids = embedder.tokenize(TEXTS[0])[:3]
    assert cosine((await embed([TEXTS[0]], max_tokens=3))[0][0], (await embed([ids]))[0][0]) > 0.9999


async def test_a_prompt_is_put_before_each_text(embed: Embed) -> None:
    (asked,), _, _ = await embed(["world"], prompt="hello ")
    assert cosine(asked, (await embed(["hello world"]))[0][0]) > 0.9999


@pytest.mark.parametrize(
    ("inputs", "fields", "kind"),
    [
        ([""], {}, BadRequest),
        (["x"], {"sparse": True}, NotSupported),
        (["x"], {"prompt_name": "query"}, NotSupported),
        ([{"image": "https://example.org/a.png"}], {}, NotSupported),
    ],
    ids=str,
)
async def test_what_it_cannot_do_is_refused(embed: Embed, inputs: Any, fields: Any, kind: Any) -> None:
    with pytest.raises(kind):
        await embed(inputs, **fields)


async def test_it_still_answers(embedder: LlamaCppEngine, ask: Any, embed: Embed) -> None:
    prompt = "<|im_start|>user\nWhat is the largest animal?<|im_end|>\n<|im_start|>assistant\n"
    answers = await asyncio.gather(ask(embedder, prompt), embed(TEXTS), ask(embedder, prompt))
    assert "blue whale" in answers[0].text and "blue whale" in answers[2].text
