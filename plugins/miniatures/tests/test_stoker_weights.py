"""The shipped weights: small, complete, and as good as the model card says."""

import json

import pytest

from enginehouse_miniatures.plugin import MODELS, enginehouse_families

FOLDER = MODELS / "stoker"


def test_the_family_points_at_the_weights() -> None:
    (family,) = [one for one in enginehouse_families() if one.name == "stoker"]
    assert family.variants[0].sources == ("package:enginehouse_miniatures/models/stoker",)
    assert (FOLDER / "model.safetensors").exists()


def test_the_weights_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 10_000_000


def test_the_configuration_suits_every_engine() -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["head_dim"] in (32, 64, 80, 96, 112, 128)
    assert not config["attention_bias"] and not config["mlp_bias"]


@pytest.mark.slow
def test_the_evaluation_reaches_its_floors() -> None:
    pytest.importorskip("torch")
    evaluate = pytest.importorskip("enginehouse_miniatures.stoker.evaluate")
    rows = evaluate.evaluate(FOLDER, count=50)
    assert evaluate.good_enough(rows), evaluate.table(rows)
