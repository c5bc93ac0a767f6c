"""Models in LLaVA's form, converted: what they say of an image is what transformers says, to the numbers."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2Config,
    SiglipImageProcessor,
    SiglipVisionConfig,
)

from enginehouse.sdk import GenerateRequest, Sampling
from enginehouse_llamacpp.convert.conversion import Conversion, convert
from enginehouse_llamacpp.convert.errors import CannotConvert
from enginehouse_llamacpp.engine import LlamaCppEngine

SIZE, PATCH, IMAGE, LENGTH = 28, 7, 1535, 24
EXACT: dict[str, Any] = {"flash_attn": "off", "cache_type_k": "f32", "cache_type_v": "f32"}
ENDS = [0, 2]  # ids at which stoker ends, and is not let to
NEAR = 0.02  # of logprobs; llama.cpp's own curves and half precision make 0.004
PADDING = (122, 116, 104)  # LLaVA's colour beside an image that is not square
PATCHES = (SIZE // PATCH) ** 2
CHAT = "<|im_start|>user\n{}\nWhat is the largest animal?<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = {"plain": "A * B", "chat": CHAT.format("*"), "two": "A * B * C"}


class Answer(NamedTuple):
    """ids: of its tokens. logprobs: theirs."""

    ids: list[int]
    logprobs: list[float]


def drawn(config: LlavaConfig, seed: int) -> LlavaForConditionalGeneration:
    """A model with a tower, and layers behind it, of which something comes out."""
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ("vision" in name or "projector" in name) and "norm" not in name:
                weight.normal_(0, 0.3)
    return model


@pytest.fixture(scope="module")
def llava(stoker_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stoker's words behind a tower that was never trained, as transformers saves them."""
    folder = tmp_path_factory.mktemp("seeing") / "llava"
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, image_size=SIZE,
        patch_size=PATCH,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=AutoConfig.from_pretrained(stoker_folder), image_token_index=IMAGE,
        image_seq_length=PATCHES, vision_feature_select_strategy="full",
    )  # fmt: skip
    model = drawn(config, 1)
    words = AutoModelForCausalLM.from_pretrained(stoker_folder)
    model.model.language_model.load_state_dict(words.model.state_dict())
    model.save_pretrained(folder)
    SiglipImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(stoker_folder / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def converted(llava: Path) -> Path:
    projector, model = convert(Conversion(llava, llava.parent / "seeing.gguf", "f32"))
    assert projector == llava.parent / "mmproj-seeing.gguf" and model == llava.parent / "seeing.gguf"
    return model


@pytest.fixture(scope="module")
def engine(converted: Path, start: Any, binding: str) -> LlamaCppEngine:
    if binding == "llama_cpp":
        pytest.skip("this binding reads no images")
    started: LlamaCppEngine = asyncio.run(
        start(converted, multimodal_projector="mmproj-seeing.gguf", n_parallel=1, **EXACT)
    )
    return started


@pytest.fixture
def see(engine: LlamaCppEngine) -> Callable[..., Any]:
    """`await see(prompt, *images)`: what the engine answers. A `*` in the prompt stands for an image."""
    return partial(seen_by, engine)


async def seen_by(engine: LlamaCppEngine, prompt: str, *images: Image.Image) -> Answer:
    request = GenerateRequest(
        request_id="r",
        prompt=prompt.replace("*", engine.image_mark),
        images=tuple(map(png, images)),
        sampling=Sampling(temperature=0, max_tokens=LENGTH, ignore_eos=True, logprobs=0),
        special_tokens=True,
    )
    tokens = [one async for piece in engine.generate(request) for one in piece.logprobs]
    return Answer([one.token_id for one in tokens], [one.logprob for one in tokens])


def picture(seed: int, width: int = SIZE, height: int = 0) -> Image.Image:
    """Soft patches of colour, so that making it smaller leaves something."""
    small = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height or width), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def see_in_transformers(llava: Path) -> Callable[..., Answer]:
    """The same of transformers."""
    return partial(seen_in_transformers, llava)


@cache
def loaded(folder: Path) -> Any:
    model = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    model.generation_config.eos_token_id = None
    return model, AutoTokenizer.from_pretrained(folder), SiglipImageProcessor.from_pretrained(folder)


def seen_in_transformers(folder: Path, prompt: str, *images: Image.Image) -> Answer:
    model, tokenizer, processor = loaded(folder)
    texts = [tokenizer.encode(text) for text in prompt.split("*")]
    ids = texts[0] + [token for text in texts[1:] for token in [IMAGE] * PATCHES + text]
    with torch.no_grad():
        out = model.generate(
            input_ids=torch.tensor([ids]), pixel_values=processor(list(images), return_tensors="pt").pixel_values,
            max_new_tokens=LENGTH, do_sample=False, pad_token_id=0, suppress_tokens=ENDS,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
    said = out.sequences[0, len(ids) :].tolist()
    rows = torch.stack(out.logits)[:, 0].log_softmax(-1)
    return Answer(said, [float(row[token]) for row, token in zip(rows, said, strict=True)])


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("size", [SIZE, 61, 19], ids=["its size", "larger", "smaller"])
async def test_images_are_read_as_in_transformers(see: Any, see_in_transformers: Any, prompt: str, size: int) -> None:
    answers = []
    for seed in range(2):
        images = [picture(seed + 10 * number, size) for number in range(PROMPTS[prompt].count("*"))]
        found, wanted = await see(PROMPTS[prompt], *images), see_in_transformers(PROMPTS[prompt], *images)
        assert found.ids == wanted.ids
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=NEAR)
        answers.append(found.logprobs)
    for one, other in combinations(answers, 2):  # each image has an answer of its own
        assert max(abs(ours - theirs) for ours, theirs in zip(one, other, strict=True)) > 2 * NEAR


async def test_what_is_not_square_is_put_on_a_square(see: Any, see_in_transformers: Any) -> None:
    """LLaVA's own code does so; transformers' preparation for this tower would stretch it."""
    wide = picture(1, 2 * SIZE, SIZE)
    square = Image.new("RGB", (SIZE, SIZE), PADDING)
    square.paste(wide.resize((SIZE, SIZE // 2), Image.Resampling.BICUBIC), (0, SIZE // 4))
    found, wanted = await see(PROMPTS["plain"], wide), see_in_transformers(PROMPTS["plain"], square)
    assert found.ids == wanted.ids and found.logprobs == pytest.approx(wanted.logprobs, abs=NEAR)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0"])
async def test_numbers_of_a_projector_are_stored_as_asked(
    llava: Path, start: Any, engine: LlamaCppEngine, tmp_path: Path, kind: str
) -> None:
    projector, model = convert(Conversion(llava, tmp_path / "model.gguf", kind))
    assert projector.stat().st_size < llava.parent.joinpath("mmproj-seeing.gguf").stat().st_size
    small = await start(model, multimodal_projector=projector.name, n_parallel=1)
    request = GenerateRequest(request_id="r", prompt=f"A {small.image_mark} B", images=(png(picture(1)),))
    assert [piece async for piece in small.generate(request)]


async def test_other_words_behind_the_last_layer_of_a_tower(
    llava: Path, start: Any, binding: str, tmp_path: Path
) -> None:
    if binding == "llama_cpp":
        pytest.skip("this binding reads no images")
    folder = shutil.copytree(llava, tmp_path / "qwen")
    config = LlavaConfig.from_pretrained(llava)
    config.vision_feature_layer = -1
    config.text_config = Qwen2Config(
        vocab_size=1536, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3, tie_word_embeddings=False,
    )  # fmt: skip
    drawn(config, 4).save_pretrained(folder)
    convert(Conversion(folder, tmp_path / "qwen.gguf", "f32"))
    started = await start(tmp_path / "qwen.gguf", multimodal_projector="mmproj-qwen.gguf", n_parallel=1, **EXACT)
    for seed in range(4):
        found = await seen_by(started, "A * B", picture(seed))
        wanted = seen_in_transformers(folder, "A * B", picture(seed))
        assert found.ids[0] == wanted.ids[0]  # later ones may be parts of a character, which come as one
        assert found.logprobs[0] == pytest.approx(wanted.logprobs[0], abs=NEAR)


NAMINGS = {
    "transformers 4": {
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "vision_tower.": "model.vision_tower.vision_model.",
        "multi_modal_projector.": "model.multi_modal_projector.",
    },
    "before": {"vision_tower.": "vision_tower.vision_model."},
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_tensors_are_known_by_their_older_names(llava: Path, converted: Path, tmp_path: Path, naming: str) -> None:
    folder = shutil.copytree(llava, tmp_path / "model")
    named = {}
    for name, numbers in load_file(folder / "model.safetensors").items():
        old = next((old for old in NAMINGS[naming] if name.startswith(old)), "")
        named[NAMINGS[naming].get(old, "") + name.removeprefix(old)] = numbers
    save_file(named, folder / "model.safetensors")
    files = convert(Conversion(folder, tmp_path / "seeing.gguf", "f32"))
    for file in files:
        assert contents(file) == contents(converted.with_name(file.name))


def contents(file: Path) -> dict[str, bytes]:
    return {tensor.name: tensor.data.tobytes() for tensor in GGUFReader(file).tensors}


def test_what_the_command_line_makes_is_launched_by_its_path(house: Any, llava: Path, tmp_path: Path) -> None:
    made = tmp_path / "seeing.gguf"
    ended = house.cli("convert", str(llava), "--type", "f32", "-o", str(made))
    assert ended.returncode == 0 and str(tmp_path / "mmproj-seeing.gguf") in ended.stdout, ended.stderr
    launched = house.client.post("/v1/models", json={"model_name": "seeing", "model_path": str(made)})
    assert launched.status_code == 200, launched.text
    uid = launched.json()["model_uid"]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(png(picture(1))).decode()}"}}
    answers = []
    for content in ([], [image]):
        content = [{"type": "text", "text": "What is this?"}, *content]
        body = {"model": uid, "messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 8}
        answers.append(house.client.post("/v1/chat/completions", json=body))
    assert [answer.status_code for answer in answers] == [200, 200], answers[1].text
    blind, seeing = (answer.json()["usage"]["prompt_tokens"] for answer in answers)
    assert blind + PATCHES <= seeing <= blind + PATCHES + 2  # and a line's end before the image


def changed(folder: Path, name: str, **fields: Any) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def vision(folder: Path, **fields: Any) -> None:
    said = json.loads((folder / "config.json").read_text())["vision_config"]
    changed(folder, "config.json", vision_config={**said, **fields})


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "CLIP": (lambda folder: vision(folder, model_type="clip_vision_model"), "25814"),
    "another tower": (lambda folder: vision(folder, model_type="dinov2"), "dinov2"),
    "a function": (lambda folder: vision(folder, hidden_act="relu"), "relu"),
    "no bias": (lambda folder: changed(folder, "config.json", multimodal_projector_bias=False), "bias"),
    "no size": (lambda folder: vision(folder, hidden_size=None), "hidden_size"),
    "no words": (lambda folder: changed(folder, "config.json", text_config=None), "text_config"),
    "unknown words": (lambda folder: changed(folder, "config.json", text_config={"model_type": "mamba"}), "mamba"),
    "patches left out": (
        lambda folder: changed(folder, "config.json", vision_feature_select_strategy="default"), "first patch"),
    "several layers": (lambda folder: changed(folder, "config.json", vision_feature_layer=[-2, -1]), "one layer"),
    "no such layer": (lambda folder: changed(folder, "config.json", vision_feature_layer=-9), "no layer -9"),
    "no preparation": (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json"),
    "broken preparation": (lambda folder: (folder / "preprocessor_config.json").write_text("{"), "preprocessor"),
    "another size": (lambda folder: changed(folder, "preprocessor_config.json", size={"height": 1}), "size"),
    "no rescaling": (lambda folder: changed(folder, "preprocessor_config.json", do_rescale=False), "do_rescale"),
    "no factor": (lambda folder: changed(folder, "preprocessor_config.json", rescale_factor=None), "rescale_factor"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
    "no normalizing": (lambda folder: changed(folder, "preprocessor_config.json", do_normalize=False), "do_normalize"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_converted_is_named_and_nothing_is_left(llava: Path, tmp_path: Path, fault: str) -> None:
    break_it, word = FAULTS[fault]
    folder = shutil.copytree(llava, tmp_path / "model")
    break_it(folder)
    with pytest.raises(CannotConvert, match=word):
        convert(Conversion(folder, tmp_path / "out.gguf"))
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_a_projector_of_another_model_is_not_replaced(llava: Path, tmp_path: Path) -> None:
    (tmp_path / "mmproj-out.gguf").write_text("precious")
    with pytest.raises(CannotConvert, match="mmproj-out"):
        convert(Conversion(llava, tmp_path / "out.gguf"))
    (tmp_path / "out.gguf").touch()  # the command line asks before it replaces the model itself
    assert len(convert(Conversion(llava, tmp_path / "out.gguf"))) == 2
