"""Conversion: tiny random models of each architecture answer as they do in transformers; what is wrong is named."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFWriter
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from enginehouse.sdk import LaunchFailed, Sampling
from enginehouse.sdk.gguf import read_gguf
from enginehouse_llamacpp.convert.conversion import Conversion, convert, parts_of, write_part
from enginehouse_llamacpp.convert.errors import CannotConvert
from enginehouse_llamacpp.convert.layout import Source
from enginehouse_llamacpp.convert.weights import stored_tensors

VOCABULARY = 320
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512,
    "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {**SIZES, "tie_word_embeddings": False, "attention_bias": False}),
    "llama-tied-linear": (
        "llama",
        {**SIZES, "rope_parameters": {"rope_theta": 500000.0, "rope_type": "linear", "factor": 2.0}},
    ),
    "mistral": ("mistral", {**SIZES, "sliding_window": None}),
    "qwen2": ("qwen2", {key: value for key, value in SIZES.items() if key != "head_dim"}),
    "qwen3": ("qwen3", {**SIZES, "tie_word_embeddings": True}),
}
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
SPLITS = {
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "llama-bpe": [
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
    "qwen2": [
        pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ],
}
TEXTS = ("hello 12345 world's  end", " a\n\nb\t c", "Grüße 你好 🎉", "<eos>x<bos>")


def tokenizer_of(splitting: str, *, begins: bool) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [("Ġ", letter) for letter in "abcdefghijklmnopqrstuvwxyz"] + [("l", "l"), ("1", "2"), ("12", "3")]
    words = ["<eos>", "<bos>", *letters, *("".join(pair) for pair in pairs)]
    model = models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=pairs)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(SPLITS[splitting])
    tokenizer.decoder = decoders.ByteLevel()
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", bos_token="<bos>")


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            kind, sizes = SHAPES[name]
            folder = made[name] = tmp_path_factory.mktemp(name)
            torch.manual_seed(3)
            AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(folder)
            tokenizer_of("smollm", begins=False).save_pretrained(folder)
        return made[name]

    return make


@pytest.mark.parametrize("name", SHAPES)
async def test_an_architecture_answers_as_in_transformers(
    folder_of: Callable[[str], Path], start: Any, ask: Any, tmp_path: Path, name: str
) -> None:
    folder, file = folder_of(name), tmp_path / "model.gguf"
    convert(Conversion(folder, file, "f32"))
    prompt = [20, 30, 40, 50, 60, 70]
    words = tokenizer_of("smollm", begins=False).convert_ids_to_tokens(range(VOCABULARY))
    odd = [index for index, word in enumerate(words) if not (word or "-").isascii() or not (word or "-").isalpha()]
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    model.generation_config.eos_token_id = None
    with torch.inference_mode():
        ids = model.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0, suppress_tokens=odd
        )
    engine = await start(file, n_parallel=1, cache_type_k="f32", cache_type_v="f32")
    answer = await ask(engine, prompt, max_tokens=24, logprobs=0, logit_bias=dict.fromkeys(odd, -1e4))
    assert [one.token_id for one in answer.logprobs] == ids[0, len(prompt) :].tolist()


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("splitting", SPLITS)
async def test_a_tokenizer_cuts_as_before(
    folder_of: Callable[[str], Path], start: Any, ask: Any, tmp_path: Path, splitting: str, begins: bool
) -> None:
    folder = shutil.copytree(folder_of("llama"), tmp_path / "model")
    tokenizer = tokenizer_of(splitting, begins=begins)
    tokenizer.save_pretrained(folder)
    convert(Conversion(folder, tmp_path / "model.gguf"))
    engine = await start(tmp_path / "model.gguf", n_parallel=1)
    for text in TEXTS:
        assert engine.tokenize(text) == tokenizer.encode(text), text
        spelled = tokenizer.encode(text, add_special_tokens=False)
        assert engine.tokenize(text, special_tokens=True) == spelled
        answer = await ask(engine, text, special_tokens=True, max_tokens=1)
        assert answer.pieces[0].prompt_tokens == len(spelled)
        answer = await ask(engine, text, special_tokens=False, max_tokens=1)
        assert answer.pieces[0].prompt_tokens == len(tokenizer.encode(text))
        assert engine.detokenize(spelled) == tokenizer.decode(spelled, skip_special_tokens=True)


async def test_what_begins_a_text_is_not_put_there_twice(
    folder_of: Callable[[str], Path], start: Any, ask: Any, tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of("llama"), tmp_path / "model")
    tokenizer_of("smollm", begins=True).save_pretrained(folder)
    convert(Conversion(folder, tmp_path / "model.gguf"))
    engine = await start(tmp_path / "model.gguf", n_parallel=1)
    assert (await ask(engine, "<bos>a", max_tokens=1)).pieces[0].prompt_tokens == 2
    assert (await ask(engine, "", special_tokens=False, max_tokens=1)).pieces[0].prompt_tokens == 1


@pytest.mark.parametrize(
    ("kind", "share"), [("f32", 1.0), ("f16", 0.5), ("bf16", 0.5), ("q8_0", 0.27)], ids=lambda each: str(each)
)
async def test_numbers_are_stored_as_asked(
    stoker_folder: Path, start: Any, ask: Any, tmp_path: Path, kind: str, share: float
) -> None:
    file = tmp_path / f"stoker-{kind}.gguf"
    shares: list[float] = []
    convert(Conversion(stoker_folder, file, kind), shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0
    header = read_gguf(file)
    assert header.metadata["general.name"] == "stoker" and header.metadata["tokenizer.chat_template"]
    tensors = sum(tensor.byte_count or 0 for tensor in header.tensors)
    assert tensors == pytest.approx(share * 9.3e6, rel=0.05)
    prompt = "<|im_start|>user\nWhat is the largest animal?<|im_end|>\n<|im_start|>assistant\n"
    assert "blue whale" in (await ask(await start(file, n_parallel=1), prompt)).text


@pytest.mark.parametrize(
    ("said", "sampling"),
    [
        ({"do_sample": False, "temperature": 0.7, "top_k": 5}, Sampling(temperature=0.0, top_k=5)),
        ({"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.01, "repetition_penalty": 1.05},
         Sampling(temperature=0.7, top_p=0.8, top_k=20, min_p=0.01, repetition_penalty=1.05)),
        ({}, Sampling()),
    ],
    ids=["greedy", "named", "nothing"],
)  # fmt: skip
async def test_what_a_request_leaves_out_is_as_the_authors_have_it(
    stoker_folder: Path, start: Any, tmp_path: Path, said: dict[str, Any], sampling: Sampling
) -> None:
    folder = shutil.copytree(stoker_folder, tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps(said))
    convert(Conversion(folder, tmp_path / "model.gguf"))
    assert (await start(tmp_path / "model.gguf", n_parallel=1)).default_sampling == sampling


@pytest.mark.parametrize("empty_first", [True, False])
async def test_a_model_in_parts_is_run_from_its_first(
    stoker_folder: Path, start: Any, ask: Any, tmp_path: Path, empty_first: bool
) -> None:
    config = json.loads((stoker_folder / "config.json").read_text())
    writer = GGUFWriter(tmp_path / "x.gguf", "llama", split_max_tensors=20, small_first_shard=empty_first)
    wanted = Conversion(stoker_folder, tmp_path / "x.gguf")
    (part,) = parts_of(wanted, Source(stoker_folder, config, stored_tensors(stoker_folder)))
    write_part(writer, part, wanted, lambda share: None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    first, *others = sorted(tmp_path.glob("*.gguf"))
    assert len(others) >= 2 and bool(read_gguf(first).tensors) != empty_first
    engine = await start(first, n_parallel=1)
    prompt = "<|im_start|>user\nWhat is the largest animal?<|im_end|>\n<|im_start|>assistant\n"
    assert "blue whale" in (await ask(engine, prompt)).text
    others[-1].unlink()
    with pytest.raises(LaunchFailed):
        await start(first, n_parallel=1)


def changed(folder: Path, name: str, **fields: Any) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def no_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    "architecture": (lambda folder: changed(folder, "config.json", architectures=["MambaForCausalLM"]), "Mamba"),
    "no architecture": (lambda folder: changed(folder, "config.json", architectures=None), "architecture"),
    "rope": (lambda folder: changed(folder, "config.json", rope_parameters={"rope_type": "longrope"}), "longrope"),
    "sizes": (lambda folder: changed(folder, "config.json", vocab_size=10), "10 rows"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "safetensors"),
    "cut weights": (cut, "cut off"),
    "no safetensors": (no_safetensors, "no safetensors"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json"),
    "tokenizer": (lambda folder: changed(folder, "tokenizer.json", model={"type": "WordPiece"}), "byte-level"),
    "splitting": (
        lambda folder: changed(folder, "tokenizer.json", pre_tokenizer={"type": "Sequence", "pretokenizers": [
            {"type": "Whitespace"}, {"type": "ByteLevel", "add_prefix_space": False}]}), "Whitespace"),
    "layers": (lambda folder: changed(folder, "config.json", num_hidden_layers=9), "blk.5"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_named_and_nothing_is_left(stoker_folder: Path, tmp_path: Path, fault: str) -> None:
    break_it, word = FAULTS[fault]
    folder = shutil.copytree(stoker_folder, tmp_path / "model")
    break_it(folder)
    with pytest.raises(CannotConvert, match=word):
        convert(Conversion(folder, tmp_path / "out.gguf"))
    assert [one.name for one in tmp_path.iterdir()] == ["model"]
