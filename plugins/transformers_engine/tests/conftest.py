"""Tiny random models and a byte-level tokenizer, made on the spot; and a way to ask an engine directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from enginehouse.sdk import EngineContext
from enginehouse_transformers.engine import TransformersEngine
from enginehouse_transformers.options import TransformersOptions

VOCABULARY = 320
TEMPLATE = (
    "{% if messages[0].role != 'system' and messages | length > 4 %}{{ raise_exception('too many turns') }}{% endif %}"
    "{% for tool in tools or [] %}[{{ tool.function.name }}]{% endfor %}"
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}"
    "{% for call in message.tool_calls or [] %}({{ call.function.arguments.city }}){% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}{% if loud %}!{% endif %}"
)
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256,
    "initializer_range": 0.3, "bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0, "tie_word_embeddings": False,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "llama": SIZES,
    "gpt2": {"vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 256,
             "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0},
    "mistral": {**SIZES, "sliding_window": 12},
    "gemma3_text": {**SIZES, "num_hidden_layers": 3, "sliding_window": 12,
                    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "gpt_neox": {**SIZES, "num_key_value_heads": 4},
    "llama4_text": {**SIZES, "num_local_experts": 2, "intermediate_size_mlp": 96, "attention_chunk_size": 12},
    "bloom": {"vocab_size": VOCABULARY, "hidden_size": 48, "n_layer": 2, "n_head": 4, "initializer_range": 0.3,
              "bos_token_id": 0, "eos_token_id": 0},
    "mamba": {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 2, "state_size": 8,
              "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0},
}  # fmt: skip

torch.set_num_threads(1)  # threads would only wait for each other at these sizes


def byte_tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<eos>", *letters]
    words += [f"Ġ{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    words += [f"<extra{index}>" for index in range(VOCABULARY - len(words))]
    merges = [("Ġ", letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", chat_template=TEMPLATE)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random model of the given kind."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            torch.manual_seed(7)
            AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPES[kind])).save_pretrained(folder)
            byte_tokenizer().save_pretrained(folder)
            made[kind] = folder
        return made[kind]

    return make


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., TransformersEngine]]:
    """Loads an engine; all are closed at the end."""
    engines = []

    def load(folder: Path, *, context: dict[str, Any] | None = None, **options: Any) -> TransformersEngine:
        given = {"model_uid": "tiny", "device": "cpu", "model_path": folder, **(context or {})}
        engine = TransformersEngine(EngineContext(options=TransformersOptions(**options), **given))
        engine.load()
        engines.append(engine)
        return engine

    yield load
    for engine in engines:
        engine.close()


@pytest.fixture(scope="session")
def llama(model_folder: Callable[[str], Path], start: Callable[..., TransformersEngine]) -> TransformersEngine:
    return start(model_folder("llama"))


@pytest.fixture
def ask(ask_engine: Callable[..., Any]) -> Callable[..., Any]:
    """`await ask(engine, prompt, **sampling)`: the whole answer."""
    return ask_engine


@pytest.fixture(scope="session")
def alone() -> Callable[..., list[int]]:
    """What plain `model.generate` answers greedily, as token ids."""
    loaded: dict[Path, Any] = {}

    def run(folder: Path, ids: list[int], length: int) -> list[int]:
        if folder not in loaded:
            loaded[folder] = AutoModelForCausalLM.from_pretrained(folder).eval()
            loaded[folder].generation_config.eos_token_id = None
        with torch.inference_mode():
            out = loaded[folder].generate(torch.tensor([ids]), max_new_tokens=length, do_sample=False, pad_token_id=0)
        answer: list[int] = out[0, len(ids) :].tolist()
        return answer

    return run


@pytest.fixture(scope="session")
def tokenizer(model_folder: Callable[[str], Path]) -> Any:
    return AutoTokenizer.from_pretrained(model_folder("llama"))
