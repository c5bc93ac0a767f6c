"""Packed weights: the same numbers, and what cannot be packed stays as it was."""

import logging

import numpy as np
import pytest
import torch

from enginehouse_sentence_transformers.model import Model, vectors
from enginehouse_sentence_transformers.packing import GRID, MOST_ROWS, PackedLinear, pack, rounded
from enginehouse_sentence_transformers.words import Words

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")
CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(1, 24), (3, 24), (2, 17, 24), (33, 24), (MOST_ROWS + 5, 24), (2, 3, 4, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_is_the_layer(shape, bias) -> None:
    layer = torch.nn.Linear(24, 40, bias=bias)
    states = torch.randn(shape)
    with torch.inference_mode():
        assert torch.allclose(PackedLinear(layer)(states), layer(states), atol=1e-5)


def test_states_that_do_not_lie_in_a_row() -> None:
    layer = torch.nn.Linear(24, 40)
    for states in (torch.randn(24, 9).t(), torch.randn(5, 24)[:1].expand(6, 24), torch.randn(4, 5, 48)[:, :, 24:]):
        with torch.inference_mode():
            assert torch.allclose(PackedLinear(layer)(states), layer(states), atol=1e-5)


def test_a_layer_comes_back_whole() -> None:
    layer = torch.nn.Linear(24, 40)
    back = PackedLinear(layer).unpacked()
    assert torch.equal(back.weight, layer.weight)
    assert torch.equal(back.bias, layer.bias)


def test_few_kernels_for_all_numbers_of_rows() -> None:
    counts = {rounded(rows) for rows in range(1, MOST_ROWS + 1)}
    assert len(counts) < 40
    assert all(rows <= rounded(rows) < rows + GRID[-1][1] for rows in range(1, MOST_ROWS + 1))
    assert max(counts) == MOST_ROWS


class Body(torch.nn.Module):
    """Ids to one vector. reads: it takes the weight itself, past the layer. wrong: it is another one when packed."""

    def __init__(self, reads: bool = False, wrong: bool = False, tied: bool = False) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(64, 24)
        self.layer = torch.nn.Linear(24, 64 if tied else 40)
        if tied:
            self.layer.weight = self.table.weight
        self.reads, self.wrong = reads, wrong

    def forward(self, features):
        states = self.table(features["input_ids"] % 64).mean(1)
        made = states @ self.layer.weight.t() if self.reads else self.layer(states)
        if self.wrong and isinstance(self.layer, PackedLinear):
            made = made + 1
        return {**features, "sentence_embedding": made}


@pytest.fixture
def words(forms) -> Words:
    return Words(forms.tokenizer(), 48)


def model_of(body: Body) -> Model:
    return Model((body,), vectors, CPU)


def said(model: Model, words: Words) -> np.ndarray:
    return np.stack(
        [result.row for result in model.run([words.frame(ids, 48) for ids in words.encode(["cat sat"])], None)]
    )


def test_a_model_says_the_same(words) -> None:
    body = Body()
    before = said(model_of(body), words)
    packed = pack(model_of(body), [body], words)
    assert isinstance(body.layer, PackedLinear)
    assert packed.packed == 24 * 40
    assert np.allclose(said(packed, words), before, atol=1e-5)


@pytest.mark.parametrize(("flaw", "why"), [("reads", "cannot be packed"), ("wrong", "something else")])
def test_a_model_that_packing_would_harm_stays_as_it_is(words, caplog, flaw, why) -> None:
    body = Body(**{flaw: True})
    before = said(model_of(body), words)
    with caplog.at_level(logging.WARNING):
        packed = pack(model_of(body), [body], words)
    assert type(body.layer) is torch.nn.Linear
    assert packed.packed == 0
    assert why in caplog.text
    assert np.array_equal(said(packed, words), before)


def test_weights_that_are_shared_stay(words) -> None:
    body = Body(tied=True)
    assert pack(model_of(body), [body], words).packed == 0
    assert body.layer.weight is body.table.weight


def test_a_model_without_a_tokenizer_of_its_own_cannot_be_tried() -> None:
    body = Body()
    assert pack(model_of(body), [body], None).packed == 0
    assert type(body.layer) is torch.nn.Linear


@pytest.mark.parametrize(("form", "task"), [("bert mean dense", "embed"), ("bert-pair", "rerank"), ("judge", "rerank")])
def test_models_are_packed_when_they_are_loaded(model_folder, start, form, task) -> None:
    engine = start(model_folder(form), task)
    half = engine._ranker or engine._embedder
    assert half is not None
    assert half.model.packed > 0
