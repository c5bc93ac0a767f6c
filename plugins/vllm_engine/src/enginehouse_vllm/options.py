"""Launch options of the engine `vllm`. Names are vLLM's own, with underscores."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enginehouse.sdk import Options

Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Gib = Annotated[float, Meta(ge=0)]


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


class VllmOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How vLLM loads and runs the model. What is null is left to vLLM, or chosen as the description says."""

    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16", "half", "float"],
        Meta(
            description="Type of weights and arithmetic. auto: vLLM's choice, but float32 on a CPU for weights that "
            "are stored so, which vLLM would halve."
        ),
    ] = "auto"
    quantization: Annotated[
        str | None, Meta(description="How the weights are quantized, where their config does not say.")
    ] = None
    max_model_len: Annotated[
        Count | None, Meta(description="Most tokens of prompt and answer together; null: what the model allows.")
    ] = None
    tensor_parallel_size: Annotated[
        Count | None, Meta(description="Devices that share each layer; null: all that the launch got.")
    ] = None
    pipeline_parallel_size: Annotated[
        int, Meta(description="Groups of devices that hold the layers in turn.", ge=1, le=1024)
    ] = 1
    gpu_memory_utilization: Annotated[
        Share | None, Meta(description="Share of a device's memory that vLLM takes (0.9).")
    ] = None
    kv_cache_gib: Annotated[
        float,
        Meta(
            description="Memory for keys and values on a CPU, in GiB. 0: 16 sequences of the whole context, at most 4 "
            "GiB, never less than one sequence.",
            ge=0,
            le=100_000,
        ),
    ] = 0.0
    kv_cache_dtype: Annotated[str | None, Meta(description="Type of keys and values, such as fp8.")] = None
    max_num_seqs: Annotated[Count | None, Meta(description="Sequences that share a step.")] = None
    max_num_batched_tokens: Annotated[Count | None, Meta(description="Tokens that share a step.")] = None
    enforce_eager: Annotated[
        bool | None,
        Meta(description="Run without compiling. null: true on a CPU, where compiling takes minutes, else false."),
    ] = None
    enable_prefix_caching: Annotated[
        bool | None, Meta(description="Keep keys and values of prompts that begin alike.")
    ] = None
    enable_chunked_prefill: Annotated[bool | None, Meta(description="Read long prompts in several steps.")] = None
    enable_sleep_mode: Annotated[
        bool | None,
        Meta(
            description="Sleep instead of being unloaded when idle: weights go to the machine's memory. null: on a "
            "CUDA device, for a launch with a keep_alive."
        ),
    ] = None
    enable_expert_parallel: Annotated[bool | None, Meta(description="Spread experts, not layers, over devices.")] = None
    cpu_offload_gb: Annotated[Gib | None, Meta(description="Weights kept in the machine's memory, GiB.")] = None
    peft_model_config: Annotated[
        PeftModelConfig | None,
        Meta(description="LoRA weights loaded beside the model; a request asks for them by their lora_name."),
    ] = None
    max_lora_rank: Annotated[
        Count | None, Meta(description="Largest rank of a LoRA; null: that of the largest given.")
    ] = None
    max_loras: Annotated[Count | None, Meta(description="LoRAs that share a step; null: all given.")] = None
    tool_call_parser: Annotated[
        str | None,
        Meta(description="Who reads tool calls instead of the family's parser: one of this server's, else vLLM's."),
    ] = None
    reasoning_parser: Annotated[
        str | None,
        Meta(description="Who reads reasoning instead of the family's parser: one of this server's, else vLLM's."),
    ] = None
    structured_outputs_config: Annotated[
        dict[str, Any] | None,
        Meta(description="Which library constrains answers, and how; null: guidance, as on other engines."),
    ] = None
    speculative_config: Annotated[
        dict[str, Any] | None, Meta(description="How tokens are guessed ahead, such as {'method': 'ngram', ...}.")
    ] = None
    hf_overrides: Annotated[dict[str, Any] | None, Meta(description="What replaces values of config.json.")] = None
    limit_mm_per_prompt: Annotated[
        dict[str, Any] | None, Meta(description="Most images, videos and sounds of a prompt, by kind.")
    ] = None
    pooler_config: Annotated[
        dict[str, Any] | None, Meta(description="How token vectors become one, for `embed` and `rerank`.")
    ] = None
    tokenizer_mode: Annotated[str | None, Meta(description="Which kind of tokenizer, such as mistral.")] = None
    load_format: Annotated[str | None, Meta(description="How weights are read, such as runai_streamer.")] = None
    seed: Annotated[Natural | None, Meta(description="For requests that name none.")] = None
    truncate: Annotated[
        bool,
        Meta(description="For `embed` and `rerank`: whether what is too long is cut, and the answer says so."),
    ] = True
    extra: Annotated[
        dict[str, Any],
        Meta(
            description="More of vLLM's own flags, such as {'block-size': 32, 'async_scheduling': false}; true and "
            "false are the flag and its no- form, objects go as JSON."
        ),
    ] = msgspec.field(default_factory=dict)

    @property
    def loras(self) -> tuple[Lora, ...]:
        config = self.peft_model_config
        return () if config is None else config.lora_list or ()
