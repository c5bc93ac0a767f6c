"""The engines that ship hold the contract: a quick part of it here, all of it among the slow tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enginehouse.testing.certifying import Order, certify

QUICK = ("declared", "worker", "completions", "embeddings", "rankings")
CONVERT_SECONDS = 120.0


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("gguf") / "stoker.gguf"
    command = [sys.executable, "-m", "enginehouse.cli", "convert", "stoker", "--type", "f32", "-o", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=CONVERT_SECONDS)
    return str(file)


def test_transformers_holds_bronze() -> None:
    finding = certify(Order(plugin="transformers", level="bronze", only=QUICK))
    assert [result.tell() for result in finding.failed] == []
    assert finding.certificate.level == "bronze"


@pytest.mark.slow
def test_transformers_holds_gold() -> None:
    _hold_gold(Order(plugin="transformers"))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["embedding:all-MiniLM-L6-v2", "rerank:shunter"])
def test_sentence_transformers_holds_gold(model: str) -> None:
    _hold_gold(Order(plugin="sentence_transformers", models=(model,)))


@pytest.mark.slow
def test_llama_cpp_holds_gold(gguf: str) -> None:
    """Two requests that share a step differ in the last bit with a cache of half precision."""
    _hold_gold(Order(plugin="llamacpp", models=(gguf,), options={"cache_type_k": "f32", "cache_type_v": "f32"}))


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["miniatures", "builtin", "flexible"])
def test_what_else_ships_holds_gold(plugin: str) -> None:
    _hold_gold(Order(plugin=plugin))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["stoker", "embedding:all-MiniLM-L6-v2"])
def test_vllm_holds_gold(vllm_house: Any, model: str) -> None:
    """In the environment that another server has made: gigabytes, which need not be made again. No reranker: vLLM has
    no code on a CPU for heads as small as shunter's."""
    pid = vllm_house.pid(vllm_house.stoker)
    python = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    place = {name: value for name, value in vllm_house.place_fields.items() if value is not None}
    options = {"environment": f"path:{python}", "max_num_seqs": 16, **place}
    _hold_gold(Order(plugin="vllm", models=(model,), options=options))


def _hold_gold(order: Order) -> None:
    finding = certify(order)
    assert [result.tell() for result in finding.failed] == []
    assert finding.certificate.level == "gold"


def test_every_shipped_plugin_is_named_here() -> None:
    """One that is not certified says why in its README, under the heading Certificate."""
    root = Path(__file__).parents[2]
    for folder in sorted((root / "plugins").iterdir()):
        if (folder / "pyproject.toml").exists():
            name = folder.name.removesuffix("_engine")
            here = f'"{name}"' in Path(__file__).read_text()
            assert here or "## Certificate" in (folder / "README.md").read_text(), folder
