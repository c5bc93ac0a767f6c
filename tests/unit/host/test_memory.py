"""Estimates from files that are made here, byte by byte."""

import json
import struct
from pathlib import Path

import pytest
from gguf import GGUFWriter

from enginehouse.host.memory import (
    RUNNER_BYTES,
    Holdings,
    Site,
    context_asked,
    context_option,
    estimate,
    look_at_weights,
    parameter_bytes,
    read_shape,
)
from enginehouse.host.model_config import ModelShape, shape_of, shape_of_gguf
from enginehouse.host.weight_headers import bits_of, weight_bytes
from enginehouse.sdk import EngineSpec, InvalidSpec, MemoryFacts, ModelFamily, Options, Variant

VARIANT = Variant(format="pytorch", size_in_billions="0_5", sources=("file:/x",))
FAMILY = ModelFamily(name="m", model_type="LLM", variants=(VARIANT,), abilities=("generate",), context_length=2048)
LLAMA = {
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 512,
}


class ContextOptions(Options, frozen=True, kw_only=True):
    max_model_len: int = 0


def double(facts: MemoryFacts, options: ContextOptions) -> dict[str, int]:
    return {"weights": 2 * facts.weight_bytes, "kv_cache": options.max_model_len, "libraries": 7}


def broken(facts: MemoryFacts, options: ContextOptions) -> dict[str, int]:
    raise ZeroDivisionError


def engine(**fields: object) -> EngineSpec:
    return EngineSpec(
        name="e", tasks=("generate",), formats=("pytorch",), engine="a:B", options=ContextOptions, **fields
    )  # type: ignore[arg-type]


def write_safetensors(file: Path, **tensors: tuple[str, list[int]]) -> None:
    header = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()
    }
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw)


def test_headers_give_bytes_by_type(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model-00001-of-00002.safetensors", a=("BF16", [10, 20]), b=("F32", [3]))
    write_safetensors(tmp_path / "model-00002-of-00002.safetensors", c=("BF16", [5]), d=("F4", [3]), e=("I8", []))
    assert weight_bytes(tmp_path) == {"BF16": 410, "F32": 12, "F4": 2, "I8": 1}


@pytest.mark.parametrize(("dtype", "bits"), [("F64", 64), ("BF16", 16), ("F8_E4M3", 8), ("U8", 8), ("F4", 4)])
def test_widths(dtype: str, bits: int) -> None:
    assert bits_of(dtype) == bits


@pytest.mark.parametrize(
    "content",
    [b"", b"\1", struct.pack("<Q", 2**60), struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 12) + b'{"a":"text"}'],
)
def test_a_broken_header_names_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(InvalidSpec, match=r"model\.safetensors"):
        weight_bytes(tmp_path)
    assert look_at_weights(VARIANT, tmp_path).basis == "parameters times bits"


def test_other_formats_count_by_their_files_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 10)
    (tmp_path / "b.bin").write_bytes(b"x" * 5)
    (tmp_path / "a.gguf").write_bytes(b"x" * 99)
    assert weight_bytes(tmp_path) == {"": 15}
    assert weight_bytes(tmp_path / "a.gguf") == {"": 99}


def test_without_files_the_variant_speaks() -> None:
    known = Variant(format="pytorch", size_in_billions="0_5", sources=("file:/x",), weight_bytes=77)
    assert look_at_weights(known, None).weights == {"": 77}
    assert look_at_weights(VARIANT, None).weights == {"": 10**9}


@pytest.mark.parametrize(
    ("quantization", "bits"), [("none", 16), ("Int4", 4.5), ("Q4_K_M", 4.5), ("8-bit", 8.5), ("fp8", 8.5), ("bf16", 16)]
)
def test_bits_of_quantizations(quantization: str, bits: float) -> None:
    assert parameter_bytes("1", quantization) == int(bits / 8 * 1e9)


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({}, 4 * 2 * 2 * 8),
        ({"num_key_value_heads": None}, 4 * 2 * 8 * 8),
        ({"head_dim": 16}, 4 * 2 * 2 * 16),
        ({"multi_query": True}, 4 * 2 * 8),
        ({"layer_types": ["full_attention", "linear_attention", "sliding_attention", "conv"]}, 2 * 2 * 2 * 8),
        ({"qk_nope_head_dim": 10, "qk_rope_head_dim": 6, "v_head_dim": 4}, 4 * 8 * 20),
        ({"num_attention_heads": None}, None),
        ({"hidden_size": "big"}, None),
    ],
)
def test_what_a_token_leaves_in_the_cache(change: dict[str, object], numbers: int | None) -> None:
    assert shape_of({**LLAMA, **change}).cache_numbers == numbers


def test_older_spellings_and_nested_configs() -> None:
    old = {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 32, "vocab_size": 5}
    shape = ModelShape(context_length=32, cache_numbers=2 * 2 * 8, hidden_size=8, vocabulary=5)
    assert shape_of(old) == shape == shape_of({"text_config": old, "vocab_size": 1})


GGUF = {
    "general.architecture": "llama",
    "llama.block_count": 4,
    "llama.context_length": 512,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b"],
}


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({}, 4 * 2 * (8 + 8)),
        ({"llama.attention.head_count_kv": [2, 0, 2, 0]}, 4 * (8 + 8)),
        ({"llama.attention.key_length": 16}, 4 * 2 * (16 + 8)),
        ({"llama.attention.head_count_kv": None}, 4 * 8 * (8 + 8)),
        ({"llama.block_count": None}, None),
        ({"general.architecture": "other"}, None),
    ],
)
def test_gguf_metadata_says_the_same(change: dict[str, object], numbers: int | None) -> None:
    assert shape_of_gguf({**GGUF, **change}).cache_numbers == numbers


def test_a_gguf_file_is_read(tmp_path: Path) -> None:
    text = b"general.architecture"
    pairs = [struct.pack("<Q", len(text)) + text + struct.pack("<IQ", 8, 5) + b"llama"]
    for key, value in GGUF.items():
        if isinstance(value, int):
            pairs.append(struct.pack("<Q", len(key)) + key.encode() + struct.pack("<II", 4, value))
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs))
    shape = ModelShape(context_length=512, cache_numbers=128, hidden_size=64)
    assert read_shape(tmp_path) == shape == read_shape(tmp_path / "m.gguf")
    (tmp_path / "m.gguf").write_bytes(b"nonsense")
    assert read_shape(tmp_path) == ModelShape()


def test_the_context_is_the_least_of_all() -> None:
    shape = ModelShape(context_length=512)
    assert context_asked({}, FAMILY, shape) == 512
    assert context_asked({"max_model_len": 100}, FAMILY, shape) == 100
    assert context_asked({"max_model_len": 0}, FAMILY, ModelShape()) == 2048
    assert context_option(engine()) == "max_model_len"


def test_an_engine_without_a_rule_gets_the_rough_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    write_safetensors(tmp_path / "model.safetensors", a=("F32", [5]))
    held = look_at_weights(VARIANT, tmp_path)
    made = estimate(engine(), {}, FAMILY, held, Site())
    assert made.components == {"weights": 20, "libraries": RUNNER_BYTES, "kv_cache": 128 * 512 * 2}
    assert made.on_device == made.total - RUNNER_BYTES
    assert (made.basis, made.context_length, made.unknown) == ("the files themselves", 512, ())


def test_what_nobody_knows_is_said() -> None:
    made = estimate(engine(), {}, FAMILY, look_at_weights(VARIANT, None), Site())
    assert made.unknown == ("kv_cache",)


def test_an_engines_own_rule_is_asked_and_may_break() -> None:
    held = Holdings(weights={"F32": 5}, basis="x")
    own = engine(memory=f"{__name__}:double")
    assert estimate(own, {"max_model_len": 3}, FAMILY, held, Site()).components == {
        "weights": 10,
        "kv_cache": 3,
        "libraries": 7,
    }
    for target in (f"{__name__}:broken", "nowhere:at_all"):
        assert estimate(engine(memory=target), {}, FAMILY, held, Site()).components["weights"] == 5


def test_a_projector_counts_and_is_not_taken_for_the_model(tmp_path: Path) -> None:
    model = tmp_path / "tiny.gguf"
    writer = GGUFWriter(model, "llama")
    writer.add_embedding_length(64)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (tmp_path / "mmproj-tiny.gguf").write_bytes(bytes(500))
    variant = Variant(format="ggufv2", size_in_billions="1", sources=("file:/x",), projector="mmproj-tiny.gguf")
    for place in (model, tmp_path):
        held = look_at_weights(variant, place)
        assert held.weights == {"": model.stat().st_size + 500}
        assert held.shape.hidden_size == 64
