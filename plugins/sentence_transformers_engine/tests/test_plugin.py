"""The light half: what the engine says of itself, before anything heavy is imported."""

import msgspec
import pytest

from enginehouse.sdk import MemoryFacts
from enginehouse_sentence_transformers.estimate import LIBRARIES, estimate_memory
from enginehouse_sentence_transformers.options import SentenceTransformersOptions
from enginehouse_sentence_transformers.plugin import enginehouse_engines

HALF = MemoryFacts(weights={"BF16": 1000}, hidden_size=64, context_length=512)


def test_one_engine_for_two_types() -> None:
    (engine,) = enginehouse_engines()
    assert (engine.name, engine.tasks) == ("sentence_transformers", ("embed", "rerank"))
    assert engine.model_types == ("embedding", "rerank")


def test_weights_are_converted_on_a_cpu() -> None:
    assert estimate_memory(HALF, SentenceTransformersOptions())["weights"] == 2000
    assert estimate_memory(HALF, SentenceTransformersOptions(dtype="bfloat16"))["weights"] == 1000
    assert estimate_memory(HALF, SentenceTransformersOptions(backend="onnx", int8=True))["weights"] == 500


def test_a_batch_is_at_least_one_input() -> None:
    small, large = (estimate_memory(HALF, SentenceTransformersOptions(max_batch_tokens=size)) for size in (16, 4096))
    assert large["batch"] == 8 * small["batch"]
    assert small["libraries"] == LIBRARIES
    assert "batch" not in estimate_memory(MemoryFacts(weights={}), SentenceTransformersOptions())


def test_int8_is_for_onnx_and_a_plan_says_so() -> None:
    with pytest.raises(msgspec.ValidationError, match="int8 needs backend=onnx"):
        msgspec.convert({"int8": True}, SentenceTransformersOptions)
