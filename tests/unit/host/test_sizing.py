import json
import struct
from pathlib import Path

import pytest

from enginehouse.builtin.plugin import enginehouse_sources
from enginehouse.host.contributions import Contributions
from enginehouse.host.sizing import SizeRequest, calculate_sizes, choose_variant
from enginehouse.sdk import BadRequest, ModelFamily, SourceSpec, Variant

CONFIG = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 16}


def no_hub(reference: str, folder: Path, report: object) -> Path:
    raise BadRequest("The hub is out of reach.")


def with_config(reference: str, folder: Path, report: object) -> Path:
    assert reference == "org/name#config.json"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def contributions() -> Contributions:
    contributions = Contributions()
    local = [source for source in enginehouse_sources() if source.local]
    far = [SourceSpec(scheme=fetch.__name__, fetch=f"{__name__}:{fetch.__name__}") for fetch in (no_hub, with_config)]
    contributions.add({"enginehouse_sources": [*local, *far]})
    return contributions


def variant(source: str) -> Variant:
    return Variant(format="pytorch", size_in_billions="0_5", sources=(source,))


def asked(**fields: object) -> SizeRequest:
    return SizeRequest(**{"size": "0.5", "model_format": "PyTorch", "context_length": 100, **fields})  # type: ignore[arg-type]


async def test_from_files(contributions: Contributions, tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F16", "shape": [10], "data_offsets": [0, 20]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 20)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    sizes = await calculate_sizes(variant(f"file:{tmp_path}"), asked(), contributions, tmp_path / "home")
    assert (sizes.weights, sizes.kv_cache, sizes.missing) == (20, 100 * 2 * 2 * 16 * 2, None)
    narrow = await calculate_sizes(variant(f"file:{tmp_path}"), asked(cache_bits=8), contributions, tmp_path / "home")
    assert narrow.kv_cache == 100 * 2 * 2 * 16
    assert narrow.total == 20 + narrow.kv_cache


async def test_from_a_hubs_config(contributions: Contributions, tmp_path: Path) -> None:
    sizes = await calculate_sizes(variant("with_config:org/name"), asked(), contributions, tmp_path)
    assert (sizes.weights, sizes.kv_cache) == (10**9, 100 * 2 * 2 * 16 * 2)


@pytest.mark.parametrize("source", ["no_hub:org/name", "unknown:org/name", "no_hub:no id at all"])
async def test_without_a_config_the_cache_is_unknown(contributions: Contributions, tmp_path: Path, source: str) -> None:
    sizes = await calculate_sizes(variant(source), asked(), contributions, tmp_path)
    assert (sizes.kv_cache, sizes.total) == (None, 10**9)
    assert sizes.missing


def test_a_variant_that_is_not_there() -> None:
    family = ModelFamily(name="m", model_type="LLM", variants=(variant("file:/x"),), abilities=())
    assert choose_variant(family, asked(size=0.5)) is family.variants[0]
    with pytest.raises(BadRequest, match="pytorch 0_5 none"):
        choose_variant(family, asked(quantization="Int4"))
