"""LoRA weights: each row of a batch has its own, and the same answer as in peft alone."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from enginehouse.sdk import BadRequest, GenerateRequest, LaunchFailed, Sampling
from enginehouse_transformers.batching import SlottedBatch
from enginehouse_transformers.options import PeftModelConfig, TransformersOptions
from enginehouse_transformers.serial import SerialBatch

SPEC = importlib.util.find_spec("enginehouse_miniatures")
STOKER = Path(SPEC.origin).parent / "models" / "stoker" if SPEC and SPEC.origin else Path("absent")
NAMES = (None, "north", "south v1.2", "head")
PROMPTS = [[5, 9, 200, 31], [77], list(range(40, 90)), [12, 13, 14, 15, 16, 17, 18, 19]]
LENGTH = 16


def save_lora(base: Path, folder: Path, seed: int, **config: Any) -> Path:
    """Random LoRA weights for `base`, large enough to change what it says."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    settings = {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"], **config}
    wrapped = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter) * 0.2
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("loras")
    return {
        "north": save_lora(STOKER, place / "north", 1),
        "south v1.2": save_lora(STOKER, place / "south", 2, r=2, target_modules=["o_proj", "up_proj"]),
        "head": save_lora(STOKER, place / "head", 3, target_modules=["lm_head", "embed_tokens", "k_proj"]),
    }


def config_of(loras: dict[str, Path]) -> PeftModelConfig:
    return msgspec.convert(
        {"lora_list": [{"lora_name": name, "local_path": str(path)} for name, path in loras.items()]}, PeftModelConfig
    )


@pytest.fixture(scope="module")
def engine(start: Any, loras: dict[str, Path]) -> Any:
    return start(STOKER, peft_model_config=config_of(loras))


@pytest.fixture(scope="module")
def in_peft(loras: dict[str, Path]) -> Callable[[str | None, list[int]], list[int]]:
    """What the adapter says greedily in a model that knows no other."""
    models: dict[str | None, Any] = {}

    def run(name: str | None, ids: list[int]) -> list[int]:
        if name not in models:
            model: Any = AutoModelForCausalLM.from_pretrained(STOKER)
            models[name] = (model if name is None else peft.PeftModel.from_pretrained(model, loras[name])).eval()
        with torch.inference_mode():
            wish = {"max_new_tokens": LENGTH, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
            out = models[name].generate(input_ids=torch.tensor([ids]), **wish)
        answer: list[int] = out[0, len(ids) :].tolist()
        return answer

    return run


async def answer(engine: Any, ids: list[int], name: str | None, after: float = 0.0) -> list[int]:
    await asyncio.sleep(after)
    sampling = Sampling(temperature=0, max_tokens=LENGTH, ignore_eos=True, logprobs=0)
    request = GenerateRequest(request_id="r", prompt=ids, sampling=sampling, lora_name=name)
    async with asyncio.timeout(180):
        return [found.token_id async for piece in engine.generate(request) for found in piece.logprobs]


def test_they_change_what_the_model_says(in_peft: Any) -> None:
    for ids in PROMPTS:
        assert len({tuple(in_peft(name, ids)) for name in NAMES}) == len(NAMES)


async def test_each_alone_is_peft_alone_and_the_base_is_untouched(engine: Any, in_peft: Any) -> None:
    assert engine.adapters == NAMES[1:] and type(engine._scheduler._batch) is SlottedBatch
    for name in (*NAMES, None):
        assert await answer(engine, PROMPTS[0], name) == in_peft(name, PROMPTS[0]), name


async def test_a_mixed_batch_gives_each_row_its_own(engine: Any, in_peft: Any) -> None:
    asked = [(ids, name) for ids in PROMPTS for name in NAMES]
    got = await asyncio.gather(*(answer(engine, ids, name, at % 5 * 0.003) for at, (ids, name) in enumerate(asked)))
    assert got == [in_peft(name, ids) for ids, name in asked]


async def test_one_by_one(start: Any, loras: dict[str, Path], in_peft: Any) -> None:
    engine = start(STOKER, peft_model_config=config_of(loras), batching="serial")
    assert type(engine._scheduler._batch) is SerialBatch
    asked = [(PROMPTS[0], name) for name in NAMES]
    got = await asyncio.gather(*(answer(engine, ids, name) for ids, name in asked))
    assert got == [in_peft(name, ids) for ids, name in asked]


async def test_what_peft_cannot_mix_runs_one_by_one(start: Any, tmp_path: Path) -> None:
    folder = save_lora(STOKER, tmp_path / "dora", 4, use_dora=True)
    engine = start(STOKER, peft_model_config=config_of({"dora": folder}))
    assert type(engine._scheduler._batch) is SerialBatch
    model: Any = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(STOKER), folder).eval()
    with torch.inference_mode():
        first = int(model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].argmax())
    base, own = await asyncio.gather(answer(engine, PROMPTS[0], None), answer(engine, PROMPTS[0], "dora"))
    assert own[0] == first and own != base


async def test_an_unknown_adapter_is_refused(engine: Any) -> None:
    with pytest.raises(BadRequest, match="'east'"):
        await answer(engine, PROMPTS[0], "east")


def broken(make: Callable[[Path], None], loras: dict[str, Path], folder: Path) -> Path:
    shutil.copytree(loras["north"], folder)
    make(folder)
    return folder


BREAKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, "no folder"),
    "no config": (lambda folder: (folder / "adapter_config.json").unlink(), "does not hold adapter_config.json"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "does not hold"),
    "bad config": (lambda folder: (folder / "adapter_config.json").write_text("{"), "cannot be read"),
    "bad weights": (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"xxxx"), "does not fit"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_broken_ones_fail_the_launch_in_clear_words(
    kind: str, start: Any, loras: dict[str, Path], tmp_path: Path
) -> None:
    make, words = BREAKS[kind]
    folder = broken(make, loras, tmp_path / "broken")
    with pytest.raises(LaunchFailed, match=words) as caught:
        start(STOKER, peft_model_config=config_of({"bad one": folder}))
    assert "'bad one'" in caught.value.message


def test_of_another_model(start: Any, model_folder: Any, tmp_path: Path) -> None:
    shape = save_lora(model_folder("llama"), tmp_path / "shape", 5)
    with pytest.raises(LaunchFailed, match="does not fit this model"):
        start(STOKER, peft_model_config=config_of({"shape": shape}))
    kind = save_lora(model_folder("gpt2"), tmp_path / "kind", 6, target_modules=["c_attn"])
    with pytest.raises(LaunchFailed, match="does not fit this model"):
        start(STOKER, peft_model_config=config_of({"kind": kind}))


def test_of_a_deeper_model(start: Any, loras: dict[str, Path], tmp_path: Path) -> None:
    """Its names fit, but some have no place: peft only warns of that."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "deep"
    shutil.copytree(loras["north"], folder)
    weights = load_file(folder / "adapter_model.safetensors")
    below = [name for name in weights if "layers.0." in name]
    deeper = {name.replace("layers.0.", "layers.99."): weights[name].clone() for name in below}
    save_file({**weights, **deeper}, folder / "adapter_model.safetensors")
    with pytest.raises(LaunchFailed, match=r"layers\.99.*and \d+ more"):
        start(STOKER, peft_model_config=config_of({"deep": folder}))


def test_not_a_lora(start: Any, loras: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(loras["north"], folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    kept = {"peft_type": "IA3", "task_type": "CAUSAL_LM", "target_modules": config["target_modules"]}
    (folder / "adapter_config.json").write_text(json.dumps(kept))
    with pytest.raises(LaunchFailed, match="IA3"):
        start(STOKER, peft_model_config=config_of({"other": folder}))


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"lora_list": [{"lora_name": "a", "local_path": "x"}, {"lora_name": "a", "local_path": "y"}]}, "two LoRAs"),
        ({"lora_list": [{"lora_name": "", "local_path": "x"}]}, "length >= 1"),
        ({"lora_list": [{"lora_name": "a"}]}, "local_path"),
        ({"lora_lists": []}, "lora_lists"),
        ({"image_lora_load_kwargs": {"a": 1}}, "for images"),
    ],
)
def test_what_a_launch_may_say(config: Any, word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert({"peft_model_config": config}, TransformersOptions)
    empty = {"lora_list": [], "image_lora_load_kwargs": {}, "image_lora_fuse_kwargs": None}
    assert msgspec.convert({"peft_model_config": empty}, TransformersOptions).loras == ()
