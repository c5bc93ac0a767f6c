"""Tiny random models of every form, made on the spot; and a way to ask an engine directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaModel,
)
from transformers.utils.logging import disable_progress_bar

from enginehouse.sdk import EmbedRequest, EngineContext, ScoreRequest
from enginehouse_sentence_transformers.engine import SentenceTransformersEngine
from enginehouse_sentence_transformers.options import SentenceTransformersOptions

_SENTENCE = "the a cat dog sat on mat sky is blue what bark animal red fox runs over lazy river old house yes no"
WORDS = tuple(_SENTENCE.split())
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<|im_start|>", "<|im_end|>"]
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz<>:/?.,|_")
PIECES = [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
VOCABULARY = {word: place for place, word in enumerate(dict.fromkeys([*SPECIAL, *WORDS, *PIECES]))}
SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "initializer_range": 0.3,
}  # fmt: skip
DECODER: dict[str, Any] = {**SIZES, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 256}

torch.set_num_threads(1)  # threads would only wait for each other at these sizes
disable_progress_bar()


def tokenizer(form: str = "bert") -> PreTrainedTokenizerFast:
    """WordPiece over a few words and letters. form: how a text is framed."""
    core = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]", max_input_chars_per_word=1_000_000))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    templates = {
        "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
        "roberta": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
        "decoder": ("$A [SEP]", "$A $B [SEP]"),
    }
    if form in templates:
        single, pair = templates[form]
        core.post_processor = processors.TemplateProcessing(
            single=single, pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        model_input_names=[names[0], "token_type_ids", names[1]] if form == "bert" else names,
        model_max_length=48,
    )


def _sentence_transformer(folder: Path, form: str) -> None:
    """Saved as its library saves it. form: "<model> <pooling> [dense] [normalize] [prompt]"."""
    model, pooling, *more = form.split()
    base = {
        "bert": lambda: BertModel(BertConfig(**SIZES, max_position_embeddings=64)),
        "roberta": lambda: RobertaModel(RobertaConfig(**SIZES, max_position_embeddings=66, pad_token_id=0)),
        "decoder": lambda: Qwen3Model(Qwen3Config(**DECODER)),
    }[model]()
    plain = folder / "plain"
    base.save_pretrained(plain)
    tokenizer(model).save_pretrained(plain)
    modules: list[Any] = [Transformer(str(plain), max_seq_length=48)]
    modules.append(Pooling(32, pooling_mode=pooling, include_prompt="prompt" not in more))
    if "dense" in more:
        modules.append(Dense(32, 16))
    if "normalize" in more:
        modules.append(Normalize())
    prompts = {"query": "what is the ", "document": ""} if "prompt" in more else None
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder / "whole"))


def _ranker(folder: Path, form: str) -> None:
    config: dict[str, Any] = {**SIZES, "num_labels": 1}
    model: Any = {
        "bert-pair": lambda: BertForSequenceClassification(BertConfig(**config, max_position_embeddings=64)),
        "roberta-pair": lambda: RobertaForSequenceClassification(
            RobertaConfig(**config, max_position_embeddings=66, pad_token_id=0)
        ),
        "judge": lambda: Qwen3ForCausalLM(Qwen3Config(**DECODER, tie_word_embeddings=True)),
    }[form]()
    model.save_pretrained(folder / "whole")
    made = tokenizer("plain" if form == "judge" else form.partition("-")[0])
    made.model_max_length = 10**30 if form == "judge" else 48
    made.save_pretrained(folder / "whole")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random model: see `_sentence_transformer` and `_ranker` for its forms."""
    made: dict[str, Path] = {}

    def make(form: str) -> Path:
        if form not in made:
            folder = tmp_path_factory.mktemp("model")
            torch.manual_seed(len(form))
            (_ranker if form in ("bert-pair", "roberta-pair", "judge") else _sentence_transformer)(folder, form)
            made[form] = folder / "whole"
        return made[form]

    return make


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., SentenceTransformersEngine]]:
    """Loads an engine; all are closed at the end."""
    engines = []

    def load(folder: Path, task: str = "embed", **options: Any) -> SentenceTransformersEngine:
        engine = SentenceTransformersEngine(
            EngineContext(
                model_uid="tiny",
                device="cpu",
                model_path=folder,
                tasks=(task,),
                options=SentenceTransformersOptions(**options),
            )
        )
        engine.load()
        engines.append(engine)
        return engine

    yield load
    for engine in engines:
        engine.close()


class Embedded(NamedTuple):
    """All pieces of an answer in one. vectors: inputs x dimensions, or weights by token."""

    vectors: Any
    tokens: int
    truncated: list[int]


@pytest.fixture(scope="session")
def embed() -> Callable[..., Any]:
    """`await embed(engine, inputs, **fields)`."""

    async def ask(engine: SentenceTransformersEngine, inputs: Sequence[Any], **fields: Any) -> Embedded:
        rows: list[Any] = []
        tokens, truncated = 0, []
        async with asyncio.timeout(60):
            async for piece in engine.embed(EmbedRequest(request_id="r", inputs=inputs, **fields)):
                truncated += [len(rows) + place for place in piece.truncated]
                rows += piece.rows
                tokens += piece.prompt_tokens
        vectors = np.stack([np.frombuffer(row, "<f4") for row in rows]) if isinstance(rows[0], bytes) else rows
        return Embedded(vectors, tokens, truncated)

    return ask


@pytest.fixture(scope="session")
def rank() -> Callable[..., Any]:
    """`await rank(engine, query, documents, **fields)`: scores, tokens, what was cut."""

    async def ask(engine: SentenceTransformersEngine, query: Any, documents: Sequence[Any], **fields: Any) -> Embedded:
        scores: list[float] = []
        tokens, truncated = 0, []
        async with asyncio.timeout(60):
            request = ScoreRequest(request_id="r", query=query, documents=documents, **fields)
            async for piece in engine.rerank(request):
                truncated += [len(scores) + place for place in piece.truncated]
                scores += piece.scores
                tokens += piece.prompt_tokens
        return Embedded(np.array(scores), tokens, truncated)

    return ask


@pytest.fixture(scope="session")
def texts() -> Callable[[int], list[str]]:
    """So many texts of all lengths, some longer than a model reads."""

    def make(count: int) -> list[str]:
        numbers = np.random.default_rng(count)
        return [" ".join(numbers.choice(WORDS, size=int(numbers.integers(1, 60)))) for _ in range(count)]

    return make


class Forms(NamedTuple):
    """What tests make further models of."""

    sizes: dict[str, Any]
    tokenizer: Callable[..., PreTrainedTokenizerFast]


@pytest.fixture(scope="session")
def forms() -> Forms:
    return Forms(SIZES, tokenizer)
