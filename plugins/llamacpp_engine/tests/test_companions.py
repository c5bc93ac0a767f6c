"""Files beside the model's: LoRA adapters, converted, chosen by request, batched apart; a draft model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from enginehouse.sdk import LaunchFailed, NotSupported
from enginehouse_llamacpp.convert.conversion import Conversion, convert
from enginehouse_llamacpp.convert.errors import CannotConvert
from enginehouse_llamacpp.options import LlamaCppOptions, Lora, PeftConfig

PROMPT = "<|im_start|>user\nCount from 1 to 20.<|im_end|>\n<|im_start|>assistant\n"
RANK, ALPHA, LENGTH = 4, 8, 24
MODULES = {"self_attn.q_proj": (192, 192), "self_attn.v_proj": (192, 192), "mlp.down_proj": (448, 192)}
Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]


def factors(seed: int) -> Factors:
    """Both halves of what an adapter adds, by the name of the weight it is added to."""
    torch.manual_seed(seed)
    return {
        f"model.layers.{layer}.{module}": (torch.randn(RANK, sizes[0]) * 0.16, torch.randn(sizes[1], RANK) * 0.16)
        for layer in range(5)
        for module, sizes in MODULES.items()
    }


def save(folder: Path, made: Factors, **config: Any) -> Path:
    """As peft saves an adapter."""
    folder.mkdir()
    tensors = {}
    for name, (first, second) in made.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = first
        tensors[f"base_model.model.{name}.lora_B.weight"] = second
    save_file(tensors, folder / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, **config}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    return folder


def merged(folder: Path, made: Factors, scale: float) -> list[int]:
    """The greedy answer of transformers with the adapter merged into the weights."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    weights = model.state_dict()
    with torch.inference_mode():
        for name, (first, second) in made.items():
            weights[f"{name}.weight"] += scale * second @ first
        ids = tokenizer(PROMPT, return_tensors="pt").input_ids
        out = model.generate(ids, max_new_tokens=LENGTH, do_sample=False, eos_token_id=None, pad_token_id=0)
    return list(out[0, ids.shape[1] :].tolist())


@pytest.fixture(scope="module")
def adapters(stoker_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[int]]]:
    """By name: an adapter's GGUF file, and what the model answers with it."""
    place = tmp_path_factory.mktemp("adapters")
    found = {}
    for name, seed, config, scale in (("one", 1, {}, 2.0), ("two", 2, {"use_rslora": True}, 4.0)):
        made = factors(seed)
        folder, file = save(place / name, made, **config), place / f"{name}.gguf"
        convert(Conversion(folder, file, base=stoker_folder))
        found[name] = (file, merged(stoker_folder, made, scale))
    return found


def loras(**paths: Path | str) -> PeftConfig:
    return PeftConfig(lora_list=tuple(Lora(lora_name=name, local_path=str(path)) for name, path in paths.items()))


async def test_adapters_answer_as_merged_ones_do(
    stoker: Path, start: Callable[..., Any], ask: Any, adapters: dict[str, tuple[Path, list[int]]]
) -> None:
    config = loras(**{name: file for name, (file, _) in adapters.items()})
    engine = await start(stoker, peft_model_config=config, cache_type_k="f32", cache_type_v="f32")
    assert engine.adapters == ("one", "two")
    plain = await ask(engine, PROMPT, max_tokens=LENGTH)

    async def told(name: str) -> str:
        text: str = (await ask(engine, PROMPT, lora_name=name, max_tokens=LENGTH, ignore_eos=True)).text
        return text

    for name, (_, ids) in adapters.items():
        words = engine.detokenize(ids).rstrip("\N{REPLACEMENT CHARACTER}")
        said = (await told(name)).rstrip("\N{REPLACEMENT CHARACTER}")
        assert said[:20] == words[:20] and said != plain.text
    alone = {name: await told(name) for name in adapters}
    mixed = await asyncio.gather(*(told(name) for name in ("one", "two") * 4))
    assert mixed == [alone["one"], alone["two"]] * 4
    assert (await ask(engine, PROMPT, max_tokens=LENGTH)).text == plain.text


async def test_an_adapter_that_is_not_there_is_named(stoker: Path, start: Any, tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match=r"nowhere.gguf.*'lost'"):
        await start(stoker, peft_model_config=loras(lost=tmp_path / "nowhere.gguf"))


async def test_a_file_that_is_no_adapter_fails_with_the_reason(stoker: Path, start: Any) -> None:
    with pytest.raises(LaunchFailed, match="adapter"):
        await start(stoker, peft_model_config=loras(odd=stoker))


def test_two_of_one_name_are_refused() -> None:
    given = {"peft_model_config": {"lora_list": [{"lora_name": "a", "local_path": "x"}] * 2}}
    with pytest.raises(msgspec.ValidationError, match="'a'"):
        msgspec.convert(given, LlamaCppOptions)
    assert msgspec.convert({"peft_model_config": {"lora_list": None}}, LlamaCppOptions).loras == ()


@pytest.mark.parametrize(
    ("config", "word"), [({"peft_type": "IA3"}, "IA3"), ({"use_dora": True}, "DoRA"), ({"r": None}, "rank")]
)
def test_other_adapters_are_not_converted(
    stoker_folder: Path, tmp_path: Path, config: dict[str, Any], word: str
) -> None:
    folder = save(tmp_path / "adapter", factors(1), **config)
    with pytest.raises(CannotConvert, match=word):
        convert(Conversion(folder, tmp_path / "out.gguf", base=stoker_folder))


def test_an_adapter_needs_its_model(tmp_path: Path) -> None:
    with pytest.raises(CannotConvert, match="--base"):
        convert(Conversion(save(tmp_path / "adapter", factors(1)), tmp_path / "out.gguf"))


async def test_a_draft_model_changes_no_word(stoker: Path, start: Any, ask: Any, binding: str) -> None:
    if binding == "llama_cpp":
        with pytest.raises(NotSupported, match="model_draft"):
            await start(stoker, model_draft=str(stoker))
        return
    plain = await start(stoker, n_parallel=2)
    drafted = await start(stoker, n_parallel=2, model_draft=str(stoker), draft_max=4)
    for engine in (plain, drafted):
        assert (await ask(engine, PROMPT)).text.startswith("1, 2, 3, 4, 5, 6, 7, 8, 9, 10")
    first, second = await ask(plain, PROMPT), await ask(drafted, PROMPT)
    assert (first.text, first.tokens, first.finish_reason) == (second.text, second.tokens, second.finish_reason)
    with pytest.raises(LaunchFailed, match="draft"):
        await start(stoker, model_draft="/nowhere.gguf")
