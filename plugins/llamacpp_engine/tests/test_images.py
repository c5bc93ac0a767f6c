"""A projector beside the model: stoker given eyes that were never trained, so it sees something, and nothing true."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from gguf import GGUFWriter
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPVisionConfig, CLIPVisionModel

from enginehouse.sdk import BadRequest, EnginehouseError, GenerateRequest, LaunchFailed, NotSupported, Sampling
from enginehouse.sdk.gguf import BrokenGguf

HIDDEN, INNER, LAYERS, SIZE, PATCH, STOKER = 32, 64, 2, 28, 14, 192
PATCHES = (SIZE // PATCH) ** 2
NORMS = ("ln1", "ln2")


def write_projector(file: Path, width: int = STOKER) -> dict[str, npt.NDArray[np.float32]]:
    """A tiny LLaVA's vision tower and projection, random; gives the tensors by their names in the file.

    width: numbers of a vector of the language model.
    """
    random = np.random.default_rng(3)
    writer = GGUFWriter(file, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)
    sizes = {
        **{"image_size": SIZE, "patch_size": PATCH, "embedding_length": HIDDEN, "feed_forward_length": INNER},
        **{"block_count": LAYERS, "projection_dim": width, "attention.head_count": 2},
    }
    for name, size in sizes.items():
        writer.add_uint32(f"clip.vision.{name}", size)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    tensors = {}
    for name, shape in shapes(width):
        flat = np.full(shape, float(name.endswith("weight")), np.float32)
        drawn = (random.standard_normal(shape) * 0.3).astype(np.float32)
        tensors[name] = flat if "ln" in name else drawn
        writer.add_tensor(name, tensors[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def shapes(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors."""
    yield from (("v.class_embd", (HIDDEN,)), ("v.position_embd.weight", (PATCHES + 1, HIDDEN)))
    yield "v.patch_embd.weight", (HIDDEN, 3, PATCH, PATCH)
    for norm in ("v.pre_ln", *(f"v.blk.{layer}.{norm}" for layer in range(LAYERS) for norm in NORMS)):
        yield from ((f"{norm}.weight", (HIDDEN,)), (f"{norm}.bias", (HIDDEN,)))
    squares = [(f"attn_{part}", HIDDEN, HIDDEN) for part in ("q", "k", "v", "out")]
    for layer in range(LAYERS):
        for part, rows, columns in (*squares, ("ffn_up", INNER, HIDDEN), ("ffn_down", HIDDEN, INNER)):
            yield f"v.blk.{layer}.{part}.weight", (rows, columns)
            yield f"v.blk.{layer}.{part}.bias", (rows,)
    for number, rows, columns in ((0, INNER, HIDDEN), (2, width, INNER)):
        yield f"mm.{number}.weight", (rows, columns)
        yield f"mm.{number}.bias", (rows,)


@pytest.fixture(scope="session")
def projector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mmproj") / "mmproj-tiny.gguf"
    write_projector(file)
    return file


@pytest.fixture(autouse=True)
def _only_where_images_are_read(request: pytest.FixtureRequest) -> None:
    if (
        getattr(request.node, "callspec", None)
        and request.node.callspec.params.get("binding") == "llama_cpp"
        and "other_binding" not in request.node.name
    ):
        pytest.skip("this binding reads no images")


@pytest.fixture
def see(stoker: Path, projector: Path, start: Any) -> Callable[..., Any]:
    """`await see(prompt, *images)`: text and prompt tokens. A `*` in the prompt stands for an image."""

    async def ask(prompt: str, *images: bytes, **fields: Any) -> tuple[str, int]:
        engine = await start(stoker, multimodal_projector=str(projector), n_parallel=1)
        request = GenerateRequest(
            request_id="r",
            prompt=prompt.replace("*", engine.image_mark),
            images=images,
            sampling=Sampling(temperature=0, max_tokens=24, ignore_eos=True),
            special_tokens=True,
            **fields,
        )
        pieces = [piece async for piece in engine.generate(request)]
        return "".join(piece.text for piece in pieces), sum(piece.prompt_tokens or 0 for piece in pieces)

    return ask


def picture(seed: int, kind: str = "PNG") -> bytes:
    numbers = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(numbers).save(out, kind)
    return out.getvalue()


async def test_each_image_is_seen(see: Any) -> None:
    nothing, few = await see("A  B")
    one, more = await see("A * B", picture(1))
    assert more - few in range(PATCHES - 1, PATCHES + 3) and one != nothing
    other, _ = await see("A * B", picture(2))
    assert len({nothing, one, other}) == 3
    assert (await see("A * B", picture(1))) == (one, more)
    _, most = await see("A * B * C", picture(1), picture(2), whole=True)
    assert most > more + PATCHES - 1


IN_CLIP = {
    "v.class_embd": "embeddings.class_embedding",
    "v.position_embd": "embeddings.position_embedding",
    "v.patch_embd": "embeddings.patch_embedding",
    "v.pre_ln": "pre_layrnorm",
    **{"ln1": "layer_norm1", "ln2": "layer_norm2", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"},
    **{f"attn_{part}": f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")},
}
"""CLIP's names for parts of a projector's file."""


def clip_of(tensors: dict[str, npt.NDArray[np.float32]]) -> CLIPVisionModel:
    """The same tower in transformers."""
    weights = {}
    for name, numbers in tensors.items():
        stem, _, kind = name.rpartition(".")
        block, _, part = stem.removeprefix("v.blk.").partition(".")
        place = IN_CLIP.get(name) or f"{IN_CLIP.get(stem) or f'encoder.layers.{block}.{IN_CLIP.get(part)}'}.{kind}"
        weights[place] = torch.from_numpy(numbers)
    config = CLIPVisionConfig(
        hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=2, image_size=SIZE,
        patch_size=PATCH, hidden_act="gelu_pytorch_tanh",
    )  # fmt: skip
    model = CLIPVisionModel(config).eval()
    lacks = model.load_state_dict(weights, strict=False).missing_keys
    assert {name.partition(".")[0] for name in lacks} <= {"post_layernorm"}  # which llama.cpp does without
    return model


def rows_of(tower: CLIPVisionModel, image: bytes, *, class_first: bool) -> torch.Tensor:
    """What the tower makes of an image behind its first layer, one row of numbers for each patch.

    class_first: as CLIP is meant. Else as llama.cpp counts: the class token stands behind the patches, each of which
    gets the position of the one before it; then the first row is left out, though that is no longer the class token's.
    """
    pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(image)).convert("RGB"), np.float32)).permute(2, 0, 1)
    embeddings = tower.embeddings
    patches = embeddings.patch_embedding(pixels[None] / 127.5 - 1).flatten(2).transpose(1, 2)
    alone = embeddings.class_embedding[None, None]
    joined = torch.cat([alone, patches] if class_first else [patches, alone], 1) + embeddings.position_embedding.weight
    return tower.encoder.layers[0](tower.pre_layrnorm(joined), None)[0, 1:]  # all layers but the last


async def test_a_class_token_is_read_one_place_off(
    see: Any, stoker_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of llama.cpp (its issue 25814). When it is mended this fails, and CLIP's towers can be converted."""
    tensors = write_projector(tmp_path / "same.gguf")
    tower, words = clip_of(tensors), AutoModelForCausalLM.from_pretrained(stoker_folder).eval()
    tokenizer, embed = AutoTokenizer.from_pretrained(stoker_folder), words.get_input_embeddings()
    mm = {name: torch.from_numpy(numbers) for name, numbers in tensors.items()}

    def answer(image: bytes, *, class_first: bool) -> str:
        inner = torch.nn.functional.gelu(
            rows_of(tower, image, class_first=class_first) @ mm["mm.0.weight"].T + mm["mm.0.bias"]
        )
        seen = inner @ mm["mm.2.weight"].T + mm["mm.2.bias"]
        before, after = (embed(torch.tensor(tokenizer.encode(text))) for text in ("A ", " B"))
        out = words.generate(
            inputs_embeds=torch.cat([before, seen, after])[None], max_new_tokens=24, do_sample=False, pad_token_id=0,
            eos_token_id=None, suppress_tokens=[0, 2],
        )  # fmt: skip
        return str(tokenizer.decode(out[0]))

    with torch.no_grad():
        for seed in range(1, 4):
            said, _ = await see("A * B", picture(seed))
            assert said == answer(picture(seed), class_first=False)
            assert said != answer(picture(seed), class_first=True)
    assert "one place off" in caplog.text  # as the worker's log says


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG", "GIF"])
async def test_usual_files_are_read(see: Any, kind: str) -> None:
    assert (await see("A * B", picture(1, kind)))[0] != (await see("A  B"))[0]


@pytest.mark.parametrize("image", [b"", b"no image", picture(1)[:60]], ids=["empty", "noise", "cut"])
async def test_what_is_no_image_is_refused(see: Any, image: bytes) -> None:
    with pytest.raises(BadRequest):
        await see("A * B", image)
    assert (await see("A * B", picture(1)))[1] > 0  # the same process lives on


async def test_a_prompt_may_begin_and_end_with_images(see: Any) -> None:
    assert (await see("**", picture(1), picture(2)))[1] >= 2 * (PATCHES - 1)


@pytest.mark.parametrize("count", [0, 2])
async def test_a_mark_without_its_image_is_refused(see: Any, count: int) -> None:
    with pytest.raises(BadRequest):
        await see("A * B", *[picture(1)] * count) if count else await see("A * B *", picture(1))


@pytest.mark.parametrize("count", [9, 70], ids=["context", "slot"])
async def test_images_that_do_not_fit_are_refused(stoker: Path, projector: Path, start: Any, count: int) -> None:
    engine = await start(stoker, multimodal_projector=str(projector), n_parallel=1, n_ctx=20)
    request = GenerateRequest(request_id="r", prompt=engine.image_mark * count, images=(picture(1),) * count)
    with pytest.raises(EnginehouseError, match="holds 20"):
        [piece async for piece in engine.generate(request)]


async def test_a_projector_lies_beside_its_model(stoker: Path, projector: Path, start: Any, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(stoker)
    (tmp_path / "mmproj.gguf").symlink_to(projector)
    engine = await start(tmp_path / "model.gguf", multimodal_projector="mmproj.gguf", n_parallel=1)
    assert engine.image_mark and not (await start(tmp_path / "model.gguf", n_parallel=1)).image_mark


@pytest.mark.parametrize("fault", ["missing", "a model", "cut"])
async def test_a_file_that_is_no_projector_is_refused(
    stoker: Path, projector: Path, start: Any, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "cut.gguf").write_bytes(projector.read_bytes()[:-500])
    given = {"missing": tmp_path / "none.gguf", "a model": stoker, "cut": tmp_path / "cut.gguf"}
    with pytest.raises((LaunchFailed, BrokenGguf)) as raised:
        await start(stoker, multimodal_projector=str(given[fault]))
    assert str(given[fault]) in raised.value.message


async def test_a_projector_of_another_model_is_refused(stoker: Path, start: Any, tmp_path: Path) -> None:
    write_projector(tmp_path / "wide.gguf", STOKER + 64)
    with pytest.raises(LaunchFailed, match=r"wide\.gguf was made for another model.*256 numbers.*192"):
        await start(stoker, multimodal_projector=str(tmp_path / "wide.gguf"))


async def test_the_other_binding_refuses_a_projector(stoker: Path, projector: Path, start: Any, binding: str) -> None:
    if binding == "llama_cpp":
        with pytest.raises(NotSupported, match="multimodal_projector"):
            await start(stoker, multimodal_projector=str(projector))


def test_a_folder_with_a_projector_is_chatted_with_about_images(house: Any, stoker: Path, tmp_path: Path) -> None:
    """Through the whole house: the folder's files say that it sees, and the plan brings the projector along."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stoker.gguf").symlink_to(stoker)
    write_projector(folder / "mmproj-stoker.gguf")
    launched = house.client.post("/v1/models", json={"model_name": "seeing", "model_path": str(folder)})
    assert launched.status_code == 200, launched.text
    uid = launched.json()["model_uid"]

    def chat(*urls: str, **fields: Any) -> Any:
        parts = [{"type": "text", "text": "What is this?"}]
        parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        body = {"model": uid, "messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 12}
        return house.client.post("/v1/chat/completions", json={**body, **fields})

    data = [f"data:image/png;base64,{b64encode(picture(seed)).decode()}" for seed in (1, 2)]
    plain, one, two, bare = chat(), chat(data[0]), chat(*data), chat(data[0].partition(",")[2])
    assert [answer.status_code for answer in (plain, one, two, bare)] == [200] * 4, two.text
    read = [answer.json()["usage"]["prompt_tokens"] for answer in (plain, one, two)]
    assert read[0] + PATCHES - 1 <= read[1] <= read[2] - PATCHES + 1
    assert one.json()["choices"][0]["message"]["content"] == bare.json()["choices"][0]["message"]["content"]
    streamed = chat(data[0], stream=True)
    assert streamed.status_code == 200 and "[DONE]" in streamed.text
    for url, status, word in (
        ("https://example.org/a.png", 400, "nothing is fetched"),
        ("data:image/png;base64,%%%", 400, "base64"),
        ("data:image/png,abc", 400, "base64"),
        (f"data:image/png;base64,{b64encode(b'no image').decode()}", 400, "refused"),
    ):
        refused = chat(url)
        assert refused.status_code == status and word in refused.text, refused.text


@pytest.mark.parametrize("switched_off", [False, True], ids=["none beside it", "left out by the launch"])
def test_a_model_without_a_projector_says_so(house: Any, stoker: Path, tmp_path: Path, switched_off: bool) -> None:
    model = tmp_path / "blind.gguf"
    model.symlink_to(stoker)
    body: dict[str, Any] = {"model_name": "blind", "model_path": str(model)}
    if switched_off:
        write_projector(tmp_path / "mmproj-blind.gguf")
        body["multimodal_projector"] = ""
    launched = house.client.post("/v1/models", json=body)
    assert launched.status_code == 200, launched.text
    uid = launched.json()["model_uid"]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64encode(picture(1)).decode()}"}}
    asked = {"model": uid, "messages": [{"role": "user", "content": [image]}]}
    refused = house.client.post("/v1/chat/completions", json=asked)
    said = "reads text only" if switched_off else "no ability 'vision'"
    assert refused.status_code == 400 and said in refused.text, refused.text
    house.client.delete(f"/v1/models/{uid}")
