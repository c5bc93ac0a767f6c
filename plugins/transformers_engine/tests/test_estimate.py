from pathlib import Path

from enginehouse.sdk import MemoryFacts
from enginehouse_transformers.estimate import DEVICE_CONTEXT, LIBRARIES, MIB, PEFT, estimate_memory
from enginehouse_transformers.options import Lora, PeftModelConfig, TransformersOptions

FACTS = MemoryFacts(
    weights={"BF16": 100 * MIB, "I8": 10 * MIB},
    context_length=1000,
    cache_numbers=1000,
    hidden_size=10,
    vocabulary=100,
    device="cuda",
)
SEQUENCE = 1000 * 1000 * 2


def made(free_bytes: int | None = None, **options: object) -> dict[str, int]:
    facts = MemoryFacts(**{name: getattr(FACTS, name) for name in FACTS.__struct_fields__} | {"free_bytes": free_bytes})
    return estimate_memory(facts, TransformersOptions(**options))  # type: ignore[arg-type]


def test_weights_are_converted_but_quantized_ones_stay() -> None:
    assert made()["weights"] == 110 * MIB
    assert made(dtype="float32")["weights"] == 210 * MIB


def test_the_cache_is_the_batch_within_its_budget() -> None:
    assert made()["kv_cache"] == 32 * SEQUENCE
    assert made(max_batch=4)["kv_cache"] == 4 * SEQUENCE
    assert made(cache_gib=0.01)["kv_cache"] == int(0.01 * 2**30)
    assert made(free_bytes=0)["kv_cache"] == SEQUENCE  # without one, nothing of that length is answered
    assert SEQUENCE < made(free_bytes=DEVICE_CONTEXT + LIBRARIES + 130 * MIB)["kv_cache"] < 32 * SEQUENCE


def test_adapters_are_counted_by_their_files(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(bytes(1000))
    loras = tuple(Lora(lora_name=str(path), local_path=str(path)) for path in (tmp_path, tmp_path / "missing"))
    assert made(peft_model_config=PeftModelConfig(lora_list=loras))["adapters"] == 1000 + PEFT
    assert "adapters" not in made()


def test_what_the_config_does_not_say_is_left_out() -> None:
    bare = estimate_memory(MemoryFacts(weights={"": 5}), TransformersOptions())
    assert bare == {"weights": 5, "libraries": LIBRARIES}
