"""Weights by token, and models that read images."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from enginehouse.sdk import BadRequest, NotSupported


@pytest.fixture(scope="module")
def splade(tmp_path_factory, forms) -> Path:
    folder = tmp_path_factory.mktemp("splade")
    torch.manual_seed(3)
    BertForMaskedLM(BertConfig(**forms.sizes, max_position_embeddings=64)).save_pretrained(folder / "plain")
    forms.tokenizer("bert").save_pretrained(folder / "plain")
    first = Transformer(str(folder / "plain"), transformer_task="fill-mask")
    SparseEncoder(modules=[first, SpladePooling()], device="cpu").save(str(folder / "whole"))
    return folder / "whole"


@pytest.fixture(scope="module")
def lexical(tmp_path_factory, forms) -> Path:
    """A model in the form of BGE-M3: dense vectors, and a linear layer for weights by token."""
    folder = tmp_path_factory.mktemp("lexical")
    torch.manual_seed(4)
    config: Any = XLMRobertaConfig(**forms.sizes, max_position_embeddings=66, pad_token_id=0)
    XLMRobertaModel(config).save_pretrained(folder)
    forms.tokenizer("roberta").save_pretrained(folder)
    torch.save(torch.nn.Linear(32, 1).state_dict(), folder / "sparse_linear.pt")
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory, forms) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(5)
    text = {**forms.sizes, "max_position_embeddings": 48, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
              "image_size": 16, "patch_size": 8}  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).save_pretrained(folder)
    size = {"shortest_edge": 16}
    images = CLIPImageProcessorPil(size=size, crop_size={"height": 16, "width": 16})
    CLIPProcessor(images, forms.tokenizer("roberta")).save_pretrained(folder)
    return folder


def data_url(image: Image.Image) -> str:
    out = io.BytesIO()
    image.save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


async def test_a_sparse_model_agrees_with_the_library(splade, start, embed, texts) -> None:
    given = texts(20)
    answer = await embed(start(splade), given)
    theirs = SparseEncoder(str(splade), device="cpu").encode(given, convert_to_sparse_tensor=False)
    for ours, dense in zip(answer.vectors, np.asarray(theirs), strict=True):
        assert {int(key) for key in ours} == set(np.nonzero(dense)[0].tolist())
        assert all(ours[key] == pytest.approx(float(dense[int(key)]), rel=1e-3, abs=1e-5) for key in ours)


async def test_a_model_that_does_both(lexical, start, embed) -> None:
    engine = start(lexical)
    given = ["the cat sat on the mat", "a red fox"]
    sparse = await embed(engine, given, sparse=True)
    ids = set(engine.tokenize(given[0], True))
    assert {int(key) for key in sparse.vectors[0]} <= ids
    dense = (await embed(engine, given)).vectors
    assert dense.shape == (2, 32)
    assert sparse.tokens == 8 + 5
    with pytest.raises(NotSupported):
        await embed(engine, given, sparse=True, dimensions=8)


async def test_weights_by_token_are_those_of_the_published_method(lexical, start, embed, texts) -> None:
    """BGE M3-Embedding (arXiv:2402.03216), lexical retrieval: ReLU of a linear layer on each token's last state, of
    each token its greatest; frame, padding and unknown tokens are left out. Here text by text with PyTorch alone."""
    tokenizer = AutoTokenizer.from_pretrained(lexical)
    encoder = XLMRobertaModel.from_pretrained(lexical).eval()
    head = torch.load(lexical / "sparse_linear.pt", weights_only=True)
    left_out = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}
    given = ["the cat sat on the mat the cat", "dog \u2603 bark", *texts(20)]
    ours = (await embed(start(lexical), given, sparse=True)).vectors
    negative = 0
    for text, row in zip(given, ours, strict=True):
        read = tokenizer(text, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            weights = (encoder(**read).last_hidden_state[0] @ head["weight"][0]) + head["bias"][0]
        expected: dict[int, float] = {}
        for token, weight in zip(read["input_ids"][0].tolist(), weights.tolist(), strict=True):
            if token not in left_out:
                negative += weight <= 0
                expected[token] = max(expected.get(token, 0.0), weight)
        expected = {token: weight for token, weight in expected.items() if weight > 0}
        assert {int(key): value for key, value in row.items()} == pytest.approx(expected, abs=1e-5)
    assert negative  # else nothing would have been seen of the ReLU


async def test_texts_and_images_side_by_side(clip, start, embed) -> None:
    engine = start(clip)
    red, blue = (Image.new("RGB", (20, 20), colour) for colour in ("red", "blue"))
    given = [{"image": data_url(red)}, "the red fox", {"image": data_url(blue)}, {"text": "the red fox"}]
    answer = await embed(engine, given)
    library = SentenceTransformer(str(clip), device="cpu")
    theirs = [library.encode([one])[0] for one in (red, "the red fox", blue, "the red fox")]
    for ours, expected in zip(answer.vectors, theirs, strict=True):
        assert ours @ expected / np.linalg.norm(ours) / np.linalg.norm(expected) > 0.9999


@pytest.mark.parametrize("image", ["http://somewhere/x.png", "data:image/png;base64,AAAA", "data:,%%%", ""])
async def test_images_that_are_none(clip, start, embed, image) -> None:
    with pytest.raises(BadRequest) as raised:
        await embed(start(clip), ["a", {"image": image}])
    assert raised.value.param == "input[1].image"


async def test_an_image_for_a_model_of_text(model_folder, start, embed) -> None:
    with pytest.raises(NotSupported, match="text only"):
        await embed(start(model_folder("bert mean")), [{"image": "data:,x"}])
    with pytest.raises(BadRequest, match="sound"):
        await embed(start(model_folder("bert mean")), [{"sound": "x"}])
