"""Launch options of the engine `transformers`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enginehouse.sdk import Options


class Lora(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """lora_name: what requests call it. local_path: a folder of the worker's machine, as peft saves it."""

    lora_name: Annotated[str, Meta(min_length=1)]
    local_path: Annotated[str, Meta(min_length=1)]


class PeftModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LoRA weights as launches name them; the two fields of images are known, and must be empty here."""

    lora_list: tuple[Lora, ...] | None = None
    image_lora_load_kwargs: dict[str, Any] | None = None
    image_lora_fuse_kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.image_lora_load_kwargs or self.image_lora_fuse_kwargs:
            raise ValueError("image_lora_load_kwargs and image_lora_fuse_kwargs are for images; leave them out")
        names = [lora.lora_name for lora in self.lora_list or ()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two LoRAs are named {twice!r}; give each a name of its own")


class TransformersOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to load the model, and how many sequences share a step."""

    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Meta(
            description="Type of weights and arithmetic. auto: the checkpoint's own, but float32 on a CPU that has no "
            "instructions for the checkpoint's half precision."
        ),
    ] = "auto"
    attn_implementation: Annotated[
        Literal["auto", "sdpa", "eager"],
        Meta(description="Which attention to use. auto: PyTorch's fused attention where the model allows it."),
    ] = "auto"
    batching: Annotated[
        Literal["auto", "serial"],
        Meta(
            description="auto: requests join and leave one running batch, for every model whose cache allows it. "
            "serial: each sequence has a cache and a step of its own."
        ),
    ] = "auto"
    max_batch: Annotated[int, Meta(description="Sequences that are decoded together; more wait.", ge=1, le=1024)] = 32
    max_waiting: Annotated[
        int, Meta(description="Requests that may wait for a place in the batch; more are refused.", ge=1, le=100_000)
    ] = 1024
    max_context: Annotated[
        int, Meta(description="Most tokens of prompt and answer together; 0: what the model allows.", ge=0)
    ] = 0
    cache_gib: Annotated[
        float,
        Meta(
            description="Memory for keys and values in GiB; when it is full, requests wait. "
            "0: half of what is free on a CPU once the model is loaded, 85 % elsewhere.",
            ge=0,
            le=100_000,
        ),
    ] = 0.0
    prefill_chunk: Annotated[
        int,
        Meta(
            description="Prompt tokens read in one step; the answers that are running wait for so long at most. "
            "0: 512 on a CPU, 2048 elsewhere.",
            ge=0,
            le=1_000_000,
        ),
    ] = 0
    threads: Annotated[
        int,
        Meta(
            description="Threads of one step on a CPU; 0: one for a model under 30 million parameters, else all cores.",
            ge=0,
            le=1024,
        ),
    ] = 0
    peft_model_config: Annotated[
        PeftModelConfig | None,
        Meta(description="LoRA weights to load beside the model; requests choose one with lora_name. Needs peft."),
    ] = None

    @property
    def loras(self) -> tuple[Lora, ...]:
        config = self.peft_model_config
        return () if config is None else config.lora_list or ()
