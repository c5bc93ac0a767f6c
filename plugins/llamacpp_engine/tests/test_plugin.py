"""The light half: what the host sees, that seeing it costs nothing, and what it says about memory."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pluggy
import pytest

import enginehouse.sdk
import enginehouse_llamacpp
from enginehouse.sdk import MemoryFacts, Options
from enginehouse_llamacpp.estimate import DEVICE_CONTEXT, LIBRARIES, MIB, estimate_memory
from enginehouse_llamacpp.options import LARGEST_DEFAULT, LlamaCppOptions
from enginehouse_llamacpp.plugin import enginehouse_engines

FACTS = MemoryFacts(weights={"": 100 * MIB}, context_length=1000, cache_numbers=1000, hidden_size=10, vocabulary=100)


def test_the_light_half_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginehouse_llamacpp.plugin as p; p.enginehouse_engines(); "
        "print(sorted({'xllamacpp', 'llama_cpp', 'gguf', 'numpy', 'jinja2', 'llguidance'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_imports_no_torch() -> None:
    code = (
        "import sys, enginehouse_llamacpp.engine; print(sorted({'torch', 'transformers', 'gguf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_spec_names_an_engine_that_exists_and_offers_chat() -> None:
    spec = next(spec for spec in enginehouse_engines() if spec.name == "llama.cpp")
    module, name = spec.engine.split(":")
    assert hasattr(__import__(module, fromlist=[name]), name)
    assert set(spec.offers) == {"chat", "generate", "embed", "rerank"} and issubclass(spec.options, Options)


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        ((), "xllamacpp>="),
        (("llama_cpp_python",), "llama-cpp-python>="),
        (("llama_cpp_python", "xllamacpp"), "xllamacpp>="),
    ],
    ids=str,
)
def test_either_binding_will_do(tmp_path: Path, installed: tuple[str, ...], wanted: str) -> None:
    """In an interpreter that sees nothing but what is linked here."""
    for module in (msgspec, pluggy, enginehouse.sdk, enginehouse_llamacpp):
        place = Path(str(module.__file__)).parent
        place = place.parent if module is enginehouse.sdk else place
        (tmp_path / place.name).symlink_to(place)
    for name in installed:
        (tmp_path / f"{name}-9999.0.dist-info").mkdir()
        (tmp_path / f"{name}-9999.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999.0\n"
        )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import enginehouse_llamacpp.plugin as p; "
        "(spec,) = p.enginehouse_engines(); print(spec.requirements[0])"
    )
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith(wanted)


def test_the_converter_is_found_by_its_format() -> None:
    (found,) = entry_points(group="enginehouse.converters", name="gguf")
    assert found.value == "enginehouse_llamacpp.convert"


def test_every_option_is_described_and_has_a_default() -> None:
    schema = msgspec.json.schema(LlamaCppOptions)["$defs"]["LlamaCppOptions"]
    assert all(field.get("description") for field in schema["properties"].values())
    assert LlamaCppOptions() == LlamaCppOptions(n_parallel=4)


@pytest.mark.parametrize(
    "wrong", [{"n_ctx": -1}, {"n_parallel": 0}, {"cache_type_k": "q2"}, {"flash_attn": 1}, {"x": 1}]
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, LlamaCppOptions)


def cache(**options: object) -> int:
    return estimate_memory(FACTS, LlamaCppOptions(**options))["kv_cache"]  # type: ignore[arg-type]


def test_all_caches_are_allocated_at_once() -> None:
    assert cache() == 1000 * 1000 * 4 * 2
    assert cache(n_parallel=1, cache_type_k="f32", cache_type_v="f32") == 1000 * 1000 * 4
    assert cache(n_parallel=1, cache_type_k="q8_0") == int(1000 * 1000 * (34 / 32 + 2) / 2)


def test_a_long_context_is_only_counted_when_it_is_asked_for() -> None:
    facts = msgspec.structs.replace(FACTS, context_length=100_000)
    assert estimate_memory(facts, LlamaCppOptions())["kv_cache"] == 1000 * LARGEST_DEFAULT * 4 * 2
    assert estimate_memory(facts, LlamaCppOptions(n_ctx=100_000))["kv_cache"] == 1000 * 100_000 * 4 * 2


def test_what_the_file_does_not_say_is_left_out() -> None:
    assert estimate_memory(MemoryFacts(weights={"": 5}), LlamaCppOptions()) == {"weights": 5, "libraries": LIBRARIES}
    assert estimate_memory(MemoryFacts(weights={"": 5}, device="cuda"), LlamaCppOptions()) == {
        "weights": 5,
        "libraries": LIBRARIES,
        "device_context": DEVICE_CONTEXT,
    }
