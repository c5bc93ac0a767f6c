"""Launch options of the engine `sentence_transformers`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from enginehouse.sdk import Options
from enginehouse.sdk.memory_ceiling import MemoryGib


class SentenceTransformersOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to load the model, how much is computed together, and what is done with inputs that are too long."""

    backend: Annotated[
        Literal["torch", "onnx"],
        Meta(description="What computes. onnx: exported once, then run by ONNX Runtime; for text models on a CPU."),
    ] = "torch"
    int8: Annotated[
        bool, Meta(description="Weights as 8-bit integers, with backend=onnx: quicker, and a little less exact.")
    ] = False
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Meta(description="Type of weights and arithmetic. auto: float32 on a CPU, the checkpoint's own elsewhere."),
    ] = "auto"
    max_length: Annotated[
        int,
        Meta(description="Most tokens of one input (of query and document together); 0: what the model allows.", ge=0),
    ] = 0
    truncate: Annotated[
        bool,
        Meta(description="Whether an input that is too long is cut, and the answer says so, or refused."),
    ] = True
    prompt_name: Annotated[
        str,
        Meta(description="Which of the model's own prompts is put before each text that names none; else its default."),
    ] = ""
    instruction: Annotated[
        str, Meta(description="For rerankers that read one, where the request gives none; else the model's own.")
    ] = ""
    max_batch_tokens: Annotated[
        int,
        Meta(
            description="Tokens, padding included, that are computed together. 0: 1024 on a CPU, 16384 elsewhere.",
            ge=0,
            le=10_000_000,
        ),
    ] = 0
    max_inputs: Annotated[
        int, Meta(description="Inputs or documents of one request; more are refused.", ge=1, le=10_000_000)
    ] = 16_384
    max_waiting_tokens: Annotated[
        int,
        Meta(description="Tokens that may wait to be computed; beyond, new requests are refused for now.", ge=1024),
    ] = 4_000_000
    threads: Annotated[
        int, Meta(description="CPU cores to compute on; 0: all that this process may use.", ge=0, le=1024)
    ] = 0
    memory_gib: MemoryGib = 0.0

    def __post_init__(self) -> None:
        if self.int8 and self.backend != "onnx":
            raise ValueError("int8 needs backend=onnx; add it, or leave int8 out")
