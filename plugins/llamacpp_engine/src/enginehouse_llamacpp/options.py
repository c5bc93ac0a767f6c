"""Launch options of the engine `llama.cpp`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enginehouse.sdk import Options
from enginehouse.sdk.memory_ceiling import MemoryGib

LARGEST_DEFAULT = 8192  # tokens of context that nobody has to ask for: keys and values are allocated when loading
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter. lora_name: what requests ask for it by. local_path: its GGUF file."""

    lora_name: Annotated[str, Meta(min_length=1)]
    local_path: Annotated[str, Meta(min_length=1)]


class PeftConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch says as `peft_model_config`; parts that are for other kinds of model are let through unread."""

    lora_list: tuple[Lora, ...] | None = None

    def __post_init__(self) -> None:
        names = [lora.lora_name for lora in self.lora_list or ()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two adapters are named {twice!r}; give each a name of its own")


class LlamaCppOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to load a GGUF file, and how many sequences share a step. Names are llama.cpp's own."""

    binding: Annotated[
        Literal["auto", "xllamacpp", "llama_cpp"],
        Meta(
            description="The library that holds llama.cpp. auto: xllamacpp where it is installed, "
            "else llama_cpp (llama-cpp-python)."
        ),
    ] = "auto"
    n_ctx: Annotated[
        int,
        Meta(
            description="Most tokens of prompt and answer together, for each of the n_parallel sequences. "
            f"0: what the model allows, at most {LARGEST_DEFAULT}.",
            ge=0,
            le=10_000_000,
        ),
    ] = 0
    n_parallel: Annotated[int, Meta(description="Sequences that are decoded together; more wait.", ge=1, le=256)] = 4
    n_threads: Annotated[
        int,
        Meta(description="Threads of one step; 0: one for files under 64 MiB, else all cores.", ge=0, le=512),
    ] = 0
    n_gpu_layers: Annotated[
        int, Meta(description="Layers that lie on the GPU; -1: all, where there is one.", ge=-1, le=100_000)
    ] = -1
    main_gpu: Annotated[int, Meta(description="The GPU for what is not split.", ge=0, le=127)] = 0
    split_mode: Annotated[
        Literal["none", "layer", "row"], Meta(description="How the model is split over several GPUs.")
    ] = "layer"
    n_batch: Annotated[int, Meta(description="Prompt tokens read in one go.", ge=32, le=65536)] = 2048
    n_ubatch: Annotated[int, Meta(description="Tokens computed in one go.", ge=32, le=65536)] = 512
    flash_attn: Annotated[
        Literal["auto", "on", "off"], Meta(description="Flash attention; quantized cache_type_v needs it.")
    ] = "auto"
    cache_type_k: Annotated[CacheType, Meta(description="Type of numbers in the cache of keys.")] = "f16"
    cache_type_v: Annotated[CacheType, Meta(description="Type of numbers in the cache of values.")] = "f16"
    cache_ram_mib: Annotated[
        int,
        Meta(description="Memory for the caches of earlier prompts, in MiB; 0: none beyond the slots.", ge=0, le=10**7),
    ] = 0
    peft_model_config: Annotated[
        PeftConfig | None,
        Meta(
            description="LoRA adapters loaded beside the model, as GGUF files; a request asks for one by its lora_name."
        ),
    ] = None
    model_draft: Annotated[
        str,
        Meta(description="GGUF file of a smaller model with the same vocabulary, which guesses tokens ahead."),
    ] = ""
    draft_max: Annotated[int, Meta(description="Most tokens guessed ahead.", ge=1, le=256)] = 3
    multimodal_projector: Annotated[
        str,
        Meta(
            description="GGUF file that turns images into input: a path, or a name beside the model's file. "
            "Left out, the one that the model is registered with; empty for none."
        ),
    ] = ""
    pooling: Annotated[
        Literal["auto", "mean", "cls", "last"],
        Meta(
            description="How the vectors of an input's tokens become one, for `embed`. "
            "auto: as the file says, else their mean."
        ),
    ] = "auto"
    truncate: Annotated[
        bool,
        Meta(
            description="For `embed` and `rerank`: whether what is too long is cut, and the answer says so, or refused."
        ),
    ] = True
    use_mmap: Annotated[bool, Meta(description="Map the file instead of reading it into memory.")] = True
    use_mlock: Annotated[bool, Meta(description="Keep the weights from being swapped out.")] = False
    memory_gib: MemoryGib = 0.0
    extra: Annotated[
        dict[str, Any],
        Meta(
            description="More parameters by llama.cpp's own names, such as {'rope_freq_scale': 0.5}; "
            "given to the library as they are."
        ),
    ] = msgspec.field(default_factory=dict)

    @property
    def loras(self) -> tuple[Lora, ...]:
        """The adapters, in the order in which llama.cpp knows them."""
        config = self.peft_model_config
        return () if config is None else config.lora_list or ()
