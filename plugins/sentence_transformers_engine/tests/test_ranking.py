"""Scores agree with the library's CrossEncoder, and with a language model asked by hand."""

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForCausalLM, AutoTokenizer

from enginehouse.sdk import ContextLengthExceeded, LaunchFailed, NotSupported
from enginehouse_sentence_transformers.judges import AFTER, BEFORE, INSTRUCTION
from enginehouse_sentence_transformers.words import share

QUERY = "what is the cat"
LIBRARY = {"bert-pair", "roberta-pair"}


@pytest.mark.parametrize("form", sorted(LIBRARY))
async def test_scores_agree_with_the_library(model_folder, start, rank, texts, form) -> None:
    folder = model_folder(form)
    documents = texts(150)
    answer = await rank(start(folder, "rerank"), QUERY, documents)
    library = CrossEncoder(str(folder), device="cpu")
    pairs = [(QUERY, document) for document in documents]
    assert np.allclose(answer.vectors, library.predict(pairs), atol=1e-5)
    encoded = library.tokenizer([QUERY] * len(documents), documents, truncation="longest_first", max_length=48)
    assert answer.tokens == sum(map(len, encoded["input_ids"]))
    whole = library.tokenizer([QUERY] * len(documents), documents)["input_ids"]
    assert answer.truncated == [place for place, ids in enumerate(whole) if len(ids) > 48]


async def test_a_long_query_is_cut_as_the_library_does(model_folder, start, rank) -> None:
    folder = model_folder("bert-pair")
    query, documents = "cat " * 60, ["dog", "dog " * 20, "dog " * 60]
    answer = await rank(start(folder, "rerank"), query, documents)
    theirs = CrossEncoder(str(folder), device="cpu").predict([(query, document) for document in documents])
    assert np.allclose(answer.vectors, theirs, atol=1e-5)
    assert answer.truncated == [0, 1, 2]


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((3, 4), (3, 4)), ((3, 20), (3, 7)), ((20, 3), (7, 3)), ((20, 20), (5, 5)), ((6, 5), (5, 5)), ((0, 20), (0, 10))],
)
def test_the_longer_one_loses_first(lengths, kept) -> None:
    assert share(*lengths, 10) == kept


async def test_raw_scores(model_folder, start, rank) -> None:
    engine = start(model_folder("bert-pair"), "rerank")
    documents = ["a cat", "the sky is blue"]
    raw = (await rank(engine, QUERY, documents, normalize=False)).vectors
    assert np.allclose((await rank(engine, QUERY, documents)).vectors, 1 / (1 + np.exp(-raw)), atol=1e-6)


async def test_a_judge_says_yes_or_no(model_folder, start, rank, texts) -> None:
    folder = model_folder("judge")
    documents = [text[:80] for text in texts(20)]
    answer = await rank(start(folder, "rerank"), QUERY, documents)
    model, words = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    expected = []
    for document in documents:
        body = f"<Instruct>: {INSTRUCTION}\n<Query>: {QUERY}\n<Document>: {document}"
        ids = [token for text in (BEFORE, body, AFTER) for token in words.encode(text, add_special_tokens=False)]
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1]
        both = logits[words.convert_tokens_to_ids(["no", "yes"])].softmax(0)
        expected.append(both[1].item())
    assert np.allclose(answer.vectors, expected, atol=1e-4)


async def test_an_instruction_is_for_judges(model_folder, start, rank) -> None:
    engine = start(model_folder("judge"), "rerank")
    plain, told = [await rank(engine, QUERY, ["a cat"], instruction=one) for one in (None, "the red fox")]
    assert plain.vectors[0] != told.vectors[0]
    with pytest.raises(NotSupported):
        await rank(start(model_folder("bert-pair"), "rerank"), QUERY, ["a cat"], instruction="the red fox")


async def test_a_language_model_without_its_words_is_no_reranker(model_folder, start, tmp_path) -> None:
    folder = model_folder("judge")
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes().replace(b"<|im_start|>", b"<|im_begin|>"))
    with pytest.raises(LaunchFailed, match="no reranker"):
        start(tmp_path, "rerank")


async def test_documents_that_are_too_long_are_refused_when_asked(model_folder, start, rank) -> None:
    engine = start(model_folder("bert-pair"), "rerank")
    with pytest.raises(ContextLengthExceeded, match=r"documents\[1\]"):
        await rank(engine, QUERY, ["a cat", "cat " * 100], truncate=False)


async def test_an_embedder_does_not_rank_nor_the_other_way_round(model_folder, start, rank, embed) -> None:
    with pytest.raises(NotSupported):
        await rank(start(model_folder("bert mean")), QUERY, ["a"])
    with pytest.raises(NotSupported):
        await embed(start(model_folder("bert-pair"), "rerank"), ["a"])
    with pytest.raises(NotSupported):
        await rank(start(model_folder("bert-pair"), "rerank"), QUERY, [{"image": "x"}])
