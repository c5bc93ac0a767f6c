"""The light half: says what the engine can run, and names the heavy half by string."""

from __future__ import annotations

from enginehouse.sdk import Asks, EngineSpec, hookimpl

from .options import SentenceTransformersOptions

ASKS = Asks(
    subprocesses="one that exports a model to ONNX, where its launch asks for that",
    remote_code="for models that come with their own classes, where the launch says trust_remote_code",
)
REQUIREMENTS = ("torch>=2.9", "transformers>=5.0", "sentence-transformers>=6.0")


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="sentence_transformers",
            tasks=("embed", "rerank"),
            model_types=("embedding", "rerank"),
            formats=("pytorch",),
            devices=("cuda", "mps", "cpu"),
            requirements=REQUIREMENTS,
            engine="enginehouse_sentence_transformers.engine:SentenceTransformersEngine",
            options=SentenceTransformersOptions,
            memory="enginehouse_sentence_transformers.estimate:estimate_memory",
            summary="sentence-transformers: embedding models and rerankers, callers batched together",
        ),
    )
