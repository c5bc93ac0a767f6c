"""The family files: what must hold of every one of them, and what a broken one costs."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path

import pytest

from enginehouse.builtin.catalogue import FAMILIES, FamilyFile, read_catalogue, read_file
from enginehouse.builtin.model_types import MODEL_TYPES
from enginehouse.host.contributions import check_answer
from enginehouse.host.plugins import load_plugins
from enginehouse.host.settings import Settings
from enginehouse.sdk import ModelFamily, size_in_billions

FILES = sorted(FAMILIES.glob("*.json"))
FORMATS = {"pytorch", "ggufv2", "awq", "gptq", "fp8", "mlx"}
LICENCES = {
    *("Apache-2.0", "MIT", "CC-BY-NC-4.0"),  # SPDX; the others are licences of their own, by the names people know
    *("Llama-3-Community", "Llama-3.1-Community", "Llama-3.2-Community", "Llama-3.3-Community"),
    *("Gemma", "Qwen", "Qwen-Research", "DeepSeek-Model", "GLM-4", "MiniCPM-Model", "Falcon-LLM-2.0"),
    *("Mistral-Research", "Mistral-Non-Production", "CreativeML-OpenRAIL-M", "OpenRAIL++-M"),
    *("Stability-Community", "FLUX-1-dev-Non-Commercial"),
}
LICENCE = re.compile(r"([\w.+-]+)(?: \([\d., B]+\))?")
SOURCE = re.compile(r"(hf|modelscope):[\w.-]+/[\w.{}-]+(#[\w.*{}-]+\.gguf)?|package:[a-z_0-9]+(/[\w.-]+)*")
CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9_]*[a-z][A-Za-z0-9_]*|MiniCPMV")
LANGUAGE = re.compile(r"[a-z]{2}|multilingual")
SENTENCE = re.compile(r"[A-Z0-9][^\n.]*([.\d][^\n.]*)*\.")
ABILITIES = {kind.name: set(kind.abilities) for kind in MODEL_TYPES}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def family(request: pytest.FixtureRequest) -> FamilyFile:
    return read_file(request.param)


def test_all_files_can_be_read():
    catalogue = read_catalogue()
    assert catalogue.faults == ()
    assert len(catalogue.families) == len(FILES) >= 60
    assert check_answer("enginehouse_families", catalogue.families) == list(catalogue.families)


def test_a_file_is_called_as_its_family():
    assert [read_file(file).name for file in FILES] == [file.stem for file in FILES]
    names = [file.stem.lower() for file in FILES]
    assert len(set(names)) == len(names), "some file systems do not tell upper case from lower"


def test_words(family):
    assert family.abilities
    assert set(family.abilities) <= ABILITIES[family.model_type]
    assert len(set(family.abilities)) == len(family.abilities)
    assert all(LANGUAGE.fullmatch(language) for language in family.languages)
    assert SENTENCE.fullmatch(family.description), family.description
    assert len(family.description) <= 160
    for part in filter(None, family.licence.split("; ")):
        match = LICENCE.fullmatch(part)
        assert match, part
        assert match[1] in LICENCES


def test_numbers(family):
    assert family.context_length is None or 128 <= family.context_length <= 2**21
    if family.model_type == "embedding":
        assert family.facts.keys() == {"dimensions", "max_tokens"}
        assert 64 <= family.facts["dimensions"] <= 8192
    if family.model_type in ("embedding", "rerank"):
        assert family.facts["max_tokens"] == family.context_length
    for weights in family.weights:
        assert re.fullmatch(r"\d+(_\d+)?", weights.size_in_billions), "a half is '0_5' on the wire"
        assert 0.01 <= size_in_billions(weights.size_in_billions) <= 2000


def test_parsers_and_abilities_belong_together(family):
    assert ("tools" in family.abilities) == (family.tool_parser is not None)
    assert ("reasoning" in family.abilities) == (family.reasoning_parser is not None)
    assert "hybrid" not in family.abilities or "reasoning" in family.abilities


def test_weights(family):
    for weights in family.weights:
        assert weights.format in FORMATS
        assert weights.sources
        assert weights.quantizations
        for source in weights.sources:
            assert SOURCE.fullmatch(source), source
            assert ("#" in source) == (weights.format == "ggufv2"), "GGUF repositories hold many variants"
            assert len(weights.quantizations) == 1 or "{quantization}" in source
            assert "hf:" in source or len(weights.sources) > 1
        names = family.architectures if weights.architectures is None else weights.architectures
        assert all(CLASS_NAME.fullmatch(name) for name in names), names


def test_no_two_variants_are_the_same():
    for family in read_catalogue().families:
        variants = sorted((one.format, one.size_in_billions, one.quantization) for one in family.variants)
        assert [len(list(same)) for _, same in groupby(variants)] == [1] * len(variants), family.name


def family_text(**changes: object) -> str:
    weights = {"format": "pytorch", "size_in_billions": "1", "sources": ["hf:org/name"]}
    fields = {"name": "fine", "model_type": "LLM", "description": "", "abilities": ["chat"], "weights": [weights]}
    return json.dumps({**fields, **changes})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "missing required field `name`"),
        (family_text(context=7), "unknown field `context`"),
        (family_text(context_length="7"), "$.context_length"),
        (family_text(weights=[{"format": "pytorch"}]), "$.weights[0]"),
        (family_text(weights=[]), "at least one variant"),
        (family_text(name=""), "needs a name"),
        ('{"name": "\\ud800"}', "bad.json"),
    ],
)
def test_a_broken_file_costs_only_its_own_family(tmp_path: Path, text: str, says: str):
    (tmp_path / "bad.json").write_text(text)
    (tmp_path / "fine.json").write_text(family_text())
    catalogue = read_catalogue(tmp_path)
    assert [family.name for family in catalogue.families] == ["fine"]
    (fault,) = catalogue.faults
    assert fault.startswith("bad.json: ")
    assert says in fault


def test_quantizations_and_architectures_are_spread(tmp_path: Path):
    weights = [
        {
            "format": "ggufv2",
            "size_in_billions": "0_5",
            "quantizations": ["Q4", "Q8"],
            "sources": ["hf:o/n-GGUF#n-{quantization}.gguf"],
        },
        {"format": "pytorch", "size_in_billions": "9", "sources": ["hf:o/moe"], "architectures": ["MoeForCausalLM"]},
    ]
    (tmp_path / "fine.json").write_text(family_text(weights=weights, architectures=["DenseForCausalLM"]))
    (family,) = read_catalogue(tmp_path).families
    assert [(one.quantization, one.sources, one.architectures) for one in family.variants] == [
        ("Q4", ("hf:o/n-GGUF#n-Q4.gguf",), ("DenseForCausalLM",)),
        ("Q8", ("hf:o/n-GGUF#n-Q8.gguf",), ("DenseForCausalLM",)),
        ("none", ("hf:o/moe",), ("MoeForCausalLM",)),
    ]


@pytest.mark.parametrize(("pattern", "files"), [("n-Q4.gguf", ("n-Q4.gguf",)), ("*Q4*.gguf", ())])
def test_a_file_that_is_named_whole_is_known(tmp_path: Path, pattern: str, files: tuple[str, ...]):
    weights = [{"format": "ggufv2", "size_in_billions": "1", "sources": [f"hf:o/n-GGUF#{pattern}"]}]
    (tmp_path / "fine.json").write_text(family_text(weights=weights))
    (family,) = read_catalogue(tmp_path).families
    assert family.variants[0].files == files


def test_a_package_is_a_source_where_it_is_installed(tmp_path: Path):
    sources = ["package:enginehouse/cli", "package:not_installed_here/model", "hf:org/name"]
    weights = [{"format": "pytorch", "size_in_billions": "1", "sources": sources}]
    (tmp_path / "fine.json").write_text(family_text(weights=weights))
    (family,) = read_catalogue(tmp_path).families
    assert family.variants[0].sources == ("package:enginehouse/cli", "hf:org/name")


def test_the_server_knows_the_catalogue(tmp_path: Path):
    contributions = load_plugins(Settings(home=tmp_path)).contributions
    for model_type, name in (("LLM", "QWEN3"), ("embedding", "bge-m3"), ("rerank", "bge-reranker-v2-m3")):
        family = contributions.family(model_type, name)
        assert isinstance(family, ModelFamily)
        assert family.name.lower() == name.lower()
