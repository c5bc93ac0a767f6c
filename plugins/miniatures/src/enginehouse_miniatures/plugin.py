"""The plugin: the families whose weights lie in this package."""

from pathlib import Path

from enginehouse.sdk import ModelFamily, Variant, hookimpl

MODELS = Path(__file__).parent / "models"
WEIGHTS = "model.safetensors"


def stoker() -> ModelFamily:
    """The miniature chat model."""
    folder = MODELS / "stoker"
    variant = Variant(
        format="pytorch",
        size_in_billions="0_0023",
        sources=("package:enginehouse_miniatures/models/stoker",),
        architectures=("LlamaForCausalLM",),
        weight_bytes=(folder / WEIGHTS).stat().st_size,
    )
    return ModelFamily(
        name="stoker",
        model_type="LLM",
        variants=(variant,),
        abilities=("generate", "chat", "tools", "reasoning", "hybrid"),
        context_length=1024,
        languages=("en",),
        description="Stoker is a miniature chat model of 2.3 million parameters that ships inside Enginehouse.",
        licence="Apache-2.0",
        stop=("<|im_end|>", "<|endoftext|>"),
        stop_token_ids=(2, 0),
        tool_parser="hermes",
        reasoning_parser="think",
    )


@hookimpl
def enginehouse_families() -> tuple[ModelFamily, ...]:
    """Every miniature of this package."""
    return (stoker(),)
