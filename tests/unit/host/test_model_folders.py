"""Folders of weights: from their small files and headers to a registration."""

from __future__ import annotations

import json
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enginehouse.host.chat_templates import abilities_of
from enginehouse.host.contributions import Contributions
from enginehouse.host.inspection import inspect_model, inspect_path
from enginehouse.host.launch_request import parse_launch
from enginehouse.host.model_draft import name_for, spell_size
from enginehouse.host.model_folders import draft_from_path, family_from_folder
from enginehouse.host.orders import main_file
from enginehouse.host.settings import Settings
from enginehouse.sdk import BadRequest, Variant

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}


def safetensors(tensors: dict[str, tuple[str, tuple[int, ...], int]], cut: int = 0) -> bytes:
    """A whole file, less `cut` bytes. tensors: type, shape and bytes by name."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    return (struct.pack("<Q", len(raw)) + raw + b"\0" * at)[: None if not cut else -cut]


@pytest.fixture
def folder(tmp_path: Path):
    """Writes files of a model: objects as JSON, text and bytes as they are."""

    def write(**files: Any) -> Path:
        place = tmp_path / "model"
        place.mkdir(exist_ok=True)
        for name, content in {"config__json": CONFIG, **files}.items():
            file = place / name.replace("__", ".")
            raw = content if isinstance(content, bytes) else None
            raw = raw or (content if isinstance(content, str) else json.dumps(content)).encode()
            file.write_bytes(raw)
        return place

    return write


def test_stoker_is_read_whole() -> None:
    spec = find_spec("enginehouse_miniatures")
    assert spec and spec.submodule_search_locations
    place = Path(spec.submodule_search_locations[0]) / "models/stoker"
    made = inspect_path(str(place))
    assert made["model_specs"][0]["parameters"] == 2_324_544
    assert made["model_specs"][0]["model_size_in_billions"] == "0_0023"
    assert made["model_ability"] == ["generate", "chat", "tools", "reasoning", "hybrid"]
    assert (made["stop"], made["stop_token_ids"]) == (["<|im_end|>", "<|endoftext|>"], [2, 0])
    assert (made["context_length"], made["tool_parser"], made["reasoning_start_tag"]) == (1024, "hermes", "<think>")
    assert made["chat_template"] == (place / "chat_template.jinja").read_text()
    family = family_from_folder(place, "mine", "LLM")
    assert (family.tool_parser, family.reasoning_parser, family.stop) == ("hermes", "think", tuple(made["stop"]))


def test_parameters_are_counted_over_all_files_of_the_index(folder) -> None:
    one, other = (
        safetensors({"a": ("BF16", (100, 70), 14000)}),
        safetensors({"b": ("F32", (3,), 12), "c": ("F16", (), 2)}),
    )
    place = folder(
        **{
            "m-1__safetensors": one,
            "m-2__safetensors": other,
            "left__safetensors": b"not of the model",
            "model.safetensors.index__json": {"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}},
        }
    )
    assert draft_from_path(place).parameters == 7004
    (place / "m-2.safetensors").unlink()
    with pytest.raises(BadRequest, match=r"m-2\.safetensors is missing"):
        draft_from_path(place)


@pytest.mark.parametrize(
    ("config", "tensors", "expected"),
    [
        (None, {"w": ("BF16", (8, 8), 128)}, ("pytorch", "none", 64)),
        (
            {"quant_method": "gptq", "bits": 4},
            {"a.qweight": ("I32", (2, 8), 64), "a.qzeros": ("I32", (1,), 4), "a.scales": ("F16", (1,), 2)},
            ("gptq", "Int4", 128),
        ),
        ({"quant_method": "awq", "w_bit": 4}, {"a.qweight": ("I32", (2, 8), 64)}, ("awq", "Int4", 128)),
        (
            {"quant_method": "fp8"},
            {"a": ("F8_E4M3", (4, 4), 16), "a.weight_scale_inv": ("F32", (1,), 4)},
            ("fp8", "FP8", 16),
        ),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            {"a": ("U8", (32, 1), 32), "a.quant_state.bitsandbytes__nf4": ("U8", (9,), 9), "a.absmax": ("U8", (3,), 3)},
            ("bnb", "Int4", 64),
        ),
        ({"quant_method": "odd"}, {"a": ("F16", (2,), 4)}, ("pytorch", "odd", 2)),
    ],
)
def test_quantized_parameters_are_counted_as_parameters(folder, config, tensors, expected) -> None:
    files = {"config__json": {**CONFIG, "quantization_config": config}, "model__safetensors": safetensors(tensors)}
    draft = draft_from_path(folder(**files))
    assert (draft.format, draft.quantization, draft.parameters) == expected


@pytest.mark.parametrize("cut", [1, 50, 100, 190])
def test_cut_weights_are_told(folder, cut) -> None:
    place = folder(model__safetensors=safetensors({"a": ("F32", (32,), 128)}, cut))
    with pytest.raises(BadRequest, match=r"model\.safetensors.*cut off"):
        draft_from_path(place)


@pytest.mark.parametrize(
    "content", [b"\xff" * 8 + b"x", struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b'{"a": {}}', b"\1"]
)
def test_hostile_weights_are_refused(folder, content) -> None:
    with pytest.raises(BadRequest, match=r"model\.safetensors"):
        draft_from_path(folder(model__safetensors=content))


def test_the_language_part_of_a_model_that_sees_is_read(folder) -> None:
    config = {
        "architectures": ["SomeForConditionalGeneration"],
        "model_type": "some_vl",
        "text_config": {"max_position_embeddings": 999, "eos_token_id": 5},
        "vision_config": {"hidden_size": 3},
        "audio_config": {},
    }
    draft = draft_from_path(folder(config__json=config))
    assert (draft.context_length, draft.stop_token_ids, draft.abilities) == (999, (5,), ("generate", "vision"))


@pytest.mark.parametrize("where", ["chat_template__jinja", "tokenizer_config__json", "chat_template__json", "named"])
def test_a_template_is_found_wherever_it_is(folder, where) -> None:
    template = "{{ messages }}"
    named = [{"name": "rag", "template": "no"}, {"name": "default", "template": template}]
    files: dict[str, Any] = {
        "chat_template__jinja": {"chat_template__jinja": template},
        "named": {"tokenizer_config__json": {"chat_template": named}},
    }.get(where, {where: {"chat_template": template}})
    assert draft_from_path(folder(**files)).chat_template == template


def test_stops_come_from_generation_config_and_tokenizer(folder) -> None:
    files = {
        "generation_config__json": {"eos_token_id": [7, 9, 7]},
        "tokenizer__json": {"added_tokens": [{"id": 7, "content": "<end>", "special": True}], "model": {"vocab": {}}},
        "tokenizer_config__json": {"eos_token": {"content": "</s>"}, "chat_template": "{{ messages }}"},
    }
    draft = draft_from_path(folder(**files))
    assert (draft.stop_token_ids, draft.stop) == ((7, 9), ("<end>", "</s>"))
    old = {"tokenizer_config__json": {"added_tokens_decoder": {"3": {"content": "<e>"}}, "chat_template": "{{ x }}"}}
    (folder() / "tokenizer.json").unlink()
    draft = draft_from_path(folder(**old, generation_config__json={"eos_token_id": 3}))
    assert (draft.stop_token_ids, draft.stop) == ((3,), ("<e>",))


def test_the_context_is_the_tokenizers_where_the_config_is_silent(folder) -> None:
    bare = {"architectures": ["X"]}
    assert (
        draft_from_path(folder(config__json=bare, tokenizer_config__json={"model_max_length": 512})).context_length
        == 512
    )
    huge = folder(config__json=bare, tokenizer_config__json={"model_max_length": 1e30})
    assert draft_from_path(huge).context_length is None


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"]
)
@pytest.mark.parametrize("content", [b"{cut", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_broken_file_is_named(folder, name, content) -> None:
    place = folder()
    (place / name).write_bytes(content)
    if name == "chat_template.jinja" and content != b"\xff\xfe":
        assert draft_from_path(place).chat_template
        return
    with pytest.raises(BadRequest, match=name):
        draft_from_path(place)


@pytest.mark.parametrize("path", ["", "relative", "/not/there", "/dev/null\0", "x" * 5000])
async def test_a_path_that_is_none_is_refused(path, tmp_path) -> None:
    with pytest.raises(BadRequest, match="absolute path"):
        await inspect_model(path, None, Contributions(), Settings(home=tmp_path))


def test_a_folder_without_a_model_and_a_file_that_is_none(tmp_path) -> None:
    with pytest.raises(BadRequest, match=r"no config\.json"):
        inspect_path(str(tmp_path))
    (tmp_path / "x.bin").touch()
    with pytest.raises(BadRequest, match="no GGUF file"):
        inspect_path(str(tmp_path / "x.bin"))


def test_without_weights_the_size_is_guessed_from_the_layers(folder) -> None:
    sizes = {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 11008, "vocab_size": 32000}
    assert draft_from_path(folder(config__json={**CONFIG, **sizes})).size == "6_6"
    assert draft_from_path(folder(pytorch_model__bin=b"x" * 4000)).size == "0_000002"


@pytest.mark.parametrize(
    ("template", "abilities"),
    [
        ("{{ messages[0].content }}", ("chat",)),
        ("tools and thinking in plain text {{ messages }}", ("chat",)),
        ("{% if tools %}{% endif %}", ("chat", "tools")),
        ("{% if c.type == 'image' %}<img>{% elif c.type == \"input_audio\" %}{% endif %}", ("chat", "vision", "audio")),
        ("{% if enable_thinking %}<think>{% endif %}", ("chat", "reasoning", "hybrid")),
        ("{{ message.reasoning_content }}", ("chat", "reasoning")),
    ],
)
def test_a_template_tells_abilities(template, abilities) -> None:
    assert abilities_of(template) == abilities


@pytest.mark.parametrize(
    ("parameters", "size"),
    [
        (7e9, "7"),
        (7.24e9, "7_2"),
        (70.6e9, "71"),
        (494032768, "0_49"),
        (2.3e6, "0_0023"),
        (0, "0_000001"),
        (0.999e9, "1"),
    ],
)
def test_sizes_are_spelt_as_on_the_wire(parameters, size) -> None:
    assert spell_size(parameters) == size


@pytest.mark.parametrize(
    ("place", "name"), [("/a/My Model+", "My-Model"), ("/a/x.Q4.gguf", "x.Q4"), ("/", "model"), ("/a/..b", "b")]
)
def test_names_are_made_of_places(place, name) -> None:
    assert name_for(Path(place)) == name


def test_a_launch_may_name_a_path_alone() -> None:
    assert parse_launch({"model_path": "/models/My Model"}).model_name == "My-Model"
    assert parse_launch({"model_path": "/m/x.gguf", "model_name": None}).model_name == "x"
    with pytest.raises(BadRequest, match="model_name"):
        parse_launch({"model_path": ""})


def test_an_engine_is_given_the_file_of_its_variant(tmp_path) -> None:
    (tmp_path / "m-q4.gguf").touch()
    variant = Variant(format="ggufv2", size_in_billions="7", sources=("hf:me/m#m-q4.gguf",), files=("m-q4.gguf",))
    assert main_file(variant, tmp_path) == tmp_path / "m-q4.gguf"
    assert main_file(variant, tmp_path / "m-q4.gguf") == tmp_path / "m-q4.gguf"
    assert main_file(msgspec.structs.replace(variant, files=()), tmp_path) == tmp_path
