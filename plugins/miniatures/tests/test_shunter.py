"""The shipped reranker: small, complete, and as good as its model card says."""

import random

import pytest

from enginehouse_miniatures.plugin import MODELS, enginehouse_families
from enginehouse_miniatures.shunter.corpus import is_held_out, question, vocabulary

FOLDER = MODELS / "shunter"
FLOOR = 0.97  # of questions whose answer comes first; the card says 0.999 of a thousand


def test_the_family_points_at_the_weights() -> None:
    (family,) = [one for one in enginehouse_families() if one.name == "shunter"]
    assert (family.model_type, family.abilities) == ("rerank", ("rerank",))
    assert family.variants[0].weight_bytes == (FOLDER / "model.safetensors").stat().st_size
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 700_000


def test_the_corpus_is_the_same_every_time() -> None:
    assert question(random.Random(5)) == question(random.Random(5))
    assert question(random.Random(5)) != question(random.Random(6))


def test_only_the_first_document_answers() -> None:
    numbers = random.Random(1)
    for _ in range(200):
        made = question(numbers)
        assert len(made.documents) == 10
        assert made.documents[0] not in made.documents[1:]


def test_held_out_names_are_kept_from_training() -> None:
    numbers = random.Random(2)
    trained = " ".join(
        text.lower() for _ in range(300) for made in (question(numbers),) for text in (made.query, *made.documents)
    )
    learned = {word.strip(".?") for word in trained.split()}
    held_out = {word for word in learned - set(vocabulary()) if is_held_out(word)}
    assert not held_out


def test_it_ranks_as_its_card_says() -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    train = pytest.importorskip("enginehouse_miniatures.shunter.train")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(FOLDER).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    measured = train.evaluate(model, tokenizer, 150)
    assert measured["first"] >= FLOOR, measured
