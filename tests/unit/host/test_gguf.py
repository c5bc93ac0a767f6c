"""GGUF headers: written by the specification here, read by the reader; whole, cut, and hostile."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.model_draft import registration_of
from enginehouse.host.model_folders import draft_from_path, family_from_folder, family_of_weights
from enginehouse.sdk import BadRequest
from enginehouse.sdk.gguf import BrokenGguf, read_gguf

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}{% if tools %}<tool_call>arguments{% endif %}<think>"
TOKENS = [f"token{number}" for number in range(200)]


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind: int, content: Any) -> bytes:
    if kind == STRING:
        return text(content)
    if kind == ARRAY:
        inner, items = content
        return struct.pack("<IQ", inner, len(items)) + b"".join(value(inner, item) for item in items)
    return struct.pack("<" + FORMS[kind], content)


def build(pairs: list[tuple[str, int, Any]], tensors: list[tuple[str, tuple[int, ...], int, int]]) -> bytes:
    """A whole file. tensors: name, shape, type, bytes."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, kind, content in pairs:
        head += text(key) + struct.pack("<I", kind) + value(kind, content)
    offset = 0
    for name, shape, kind, size in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += -(-size // 32) * 32
    return head + b"\0" * (-len(head) % 32 + offset)


PAIRS: list[tuple[str, int, Any]] = [
    ("general.architecture", STRING, "llama"),
    ("general.name", STRING, "Tiny"),
    ("general.file_type", U32, 15),
    ("general.languages", ARRAY, (STRING, ["en", "fr"])),
    ("llama.context_length", U32, 4096),
    ("llama.rope.freq_base", F32, 10000.0),
    ("some.flag", BOOL, True),
    ("some.big", U64, 2**40),
    ("some.negative", I64, -5),
    ("some.matrix", ARRAY, (ARRAY, [(U8, [1, 2]), (U8, [3])])),
    ("tokenizer.ggml.tokens", ARRAY, (STRING, TOKENS)),
    ("tokenizer.ggml.scores", ARRAY, (F32, [0.5] * len(TOKENS))),
    ("tokenizer.ggml.eos_token_id", U32, 2),
    ("tokenizer.ggml.eot_token_id", U32, 7),
    ("tokenizer.chat_template", STRING, TEMPLATE),
]
TENSORS = [("token_embd.weight", (256, 20), 12, 20 * 144), ("blk.0.ffn.weight", (256, 4), 0, 256 * 4 * 4)]
WHOLE = build(PAIRS, TENSORS)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: bytes, name: str = "tiny.Q4_K_M.gguf") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_a_header_is_read(write) -> None:
    read = read_gguf(write(WHOLE))
    assert read.metadata["some.matrix"] == [[1, 2], [3]]
    assert (read.metadata["some.big"], read.metadata["some.negative"], read.metadata["some.flag"]) == (2**40, -5, True)
    assert [(tensor.name, tensor.size, tensor.byte_count) for tensor in read.tensors] == [
        ("token_embd.weight", 5120, 2880),
        ("blk.0.ffn.weight", 1024, 4096),
    ]


def test_a_file_becomes_a_registration(write) -> None:
    file = write(WHOLE)
    (file.parent / "mmproj-tiny.gguf").write_bytes(b"")
    made = registration_of(draft_from_path(file), "tiny")
    assert made["model_ability"] == ["generate", "chat", "tools", "reasoning", "vision"]
    assert made["model_specs"] == [
        {
            "model_format": "ggufv2",
            "model_size_in_billions": "0_0000061",
            "quantization": "Q4_K_M",
            "model_uri": f"file://{file}",
            "model_file_name_template": file.name,
            "multimodal_projectors": ["mmproj-tiny.gguf"],
            "parameters": 6144,
            "weight_bytes": len(WHOLE),
        }
    ]
    assert (made["context_length"], made["model_lang"], made["chat_template"]) == (4096, ["en", "fr"], TEMPLATE)
    assert (made["stop"], made["stop_token_ids"], made["tool_parser"]) == (["token2", "token7"], [2, 7], "hermes")
    assert draft_from_path(file.parent) == draft_from_path(file)


def test_a_folder_of_several_models_says_which(write) -> None:
    write(WHOLE, "a.gguf")
    file = write(WHOLE, "b.gguf")
    with pytest.raises(BadRequest, match=r"a\.gguf, b\.gguf"):
        draft_from_path(file.parent)


def test_a_model_in_parts_is_one(write) -> None:
    first = write(WHOLE, "m-00001-of-00002.gguf")
    with pytest.raises(BrokenGguf, match=r"00002-of-00002\.gguf is missing"):
        draft_from_path(first)
    second = write(build([], TENSORS), "m-00002-of-00002.gguf")
    draft = draft_from_path(second)
    assert (draft.place, draft.parameters) == (first, 2 * 6144)
    assert draft_from_path(first.parent) == draft


def test_a_projector_is_no_model(write) -> None:
    with pytest.raises(BadRequest, match="goes with a model"):
        draft_from_path(write(build([("general.architecture", STRING, "clip")], [])))


def test_a_model_is_given_its_own_projector_and_no_other_ones(write) -> None:
    """By name, then by width; what says neither may be its own, too."""

    def projector(name: str, width: int) -> Path:
        return write(build([("general.architecture", STRING, "clip")], [("mm.2.bias", (width,), 0, 4 * width)]), name)

    width = ("llama.embedding_length", U32, 256)
    file, other = write(build([*PAIRS, width], TENSORS), "b.gguf"), write(build([*PAIRS, width], TENSORS), "a.gguf")
    projector("mmproj-a.gguf", 256)
    assert draft_from_path(file).projectors == ()
    projector("mmproj.gguf", 256)
    projector("mmproj-narrow.gguf", 128)
    projector("mmproj-b.gguf", 256)
    assert draft_from_path(file).projectors == ("mmproj-b.gguf", "mmproj.gguf")
    assert draft_from_path(other).projectors == ("mmproj-a.gguf", "mmproj.gguf")


@pytest.mark.parametrize("template", ["{% if %}", "{{ messages[0 }}", "{% for m in messages %}x", "{% nonsense %}"])
def test_a_template_that_no_engine_could_read_is_refused_by_name(write, template: str) -> None:
    pairs = [("general.architecture", STRING, "x"), ("tokenizer.chat_template", STRING, f"\n{template}")]
    file = write(build(pairs, [("a", (32,), 8, 34)]))
    with pytest.raises(BadRequest, match=rf"{file.name} cannot be read: line \d"):
        family_from_folder(file, "tiny", "LLM")
    assert family_from_folder(file, "tiny", "embedding").name == "tiny"  # which never reads it
    assert family_of_weights(file, "tiny", "LLM").name == "tiny"


def test_what_transformers_templates_may_say_is_read(write) -> None:
    template = "{% for m in messages %}{%- generation -%}{{ m }}{%endgeneration%}{% break %}{% endfor %}{{ f(x)|odd }}"
    file = write(build([("general.architecture", STRING, "x"), ("tokenizer.chat_template", STRING, template)], TENSORS))
    assert "chat" in family_from_folder(file, "tiny", "LLM").abilities


def test_without_a_template_it_continues_text(write) -> None:
    draft = draft_from_path(write(build([("general.architecture", STRING, "x")], [("a", (32,), 8, 34)])))
    assert (draft.abilities, draft.quantization, draft.context_length, draft.stop) == (("generate",), "Q8_0", None, ())


def test_a_cut_file_is_told_from_a_whole_one(write) -> None:
    for size in (*range(0, len(WHOLE), 100), len(WHOLE) - 1):
        with pytest.raises(BrokenGguf, match="gguf is no usable GGUF file"):
            draft_from_path(write(WHOLE[:size]))


HEAD = b"GGUF" + struct.pack("<I", 3)
BIG = 2**63 - 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cut off"),
        (b"GGML" + WHOLE[4:], "begin with GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + WHOLE[8:], "version 1"),
        (b"GGUF" + struct.pack(">I", 3) + WHOLE[8:], "big-endian"),
        (HEAD + struct.pack("<QQ", BIG, 0), "claims"),
        (HEAD + struct.pack("<QQ", 0, BIG), "claims"),
        (HEAD + struct.pack("<QQ", 0, 1) + struct.pack("<Q", BIG) + b"x" * 64, "cut off"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k") + struct.pack("<I", 99) + b"x" * 64, "type 99"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k") + struct.pack("<IIQ", ARRAY, U8, BIG) + b"x" * 64, "claims"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9, "deep"),
        (HEAD + struct.pack("<QQ", 1, 0) + text("t") + struct.pack("<I", 2**31) + b"x" * 64, "dimensions"),
        (HEAD + struct.pack("<QQ", 1, 0) + text("t") + struct.pack("<IQIQ", 1, 2**62, 0, 0), "cut off"),
        (HEAD + struct.pack("<QQ", 1, 0) + text("t") + struct.pack("<IQIQ", 1, 1, 0, BIG), "cut off"),
        (build([("general.alignment", U32, 0)], []), "alignment"),
        (build([("general.alignment", STRING, "x")], []), "alignment"),
        (HEAD + struct.pack("<QQ", 0, 5_000_000) + b"\0" * 6_000_000, "not believed"),
    ],
)
def test_hostile_files_are_refused_and_named(write, content, said) -> None:
    file = write(content)
    began = time.monotonic()
    with pytest.raises(BrokenGguf, match=said) as caught:
        draft_from_path(file)
    assert str(file) in caught.value.message
    assert time.monotonic() - began < 5


def test_damaged_bytes_never_break_the_reader(write) -> None:
    chance = random.Random(5)
    for _ in range(300):
        damaged = bytearray(WHOLE)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(WHOLE) // 10)] = chance.randrange(256)
        try:
            registration_of(draft_from_path(write(bytes(damaged))), "x")
        except BadRequest as error:
            assert error.message
