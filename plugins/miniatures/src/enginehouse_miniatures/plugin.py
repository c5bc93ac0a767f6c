"""The plugin: the families whose weights lie in this package."""

from pathlib import Path

from enginehouse.sdk import Asks, ModelFamily, Variant, hookimpl

ASKS = Asks()  # data only: weights that lie in the package

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


def shunter() -> ModelFamily:
    """The miniature reranker."""
    variant = Variant(
        format="pytorch",
        size_in_billions="0_00014",
        sources=("package:enginehouse_miniatures/models/shunter",),
        architectures=("BertForSequenceClassification",),
        weight_bytes=(MODELS / "shunter" / WEIGHTS).stat().st_size,
    )
    return ModelFamily(
        name="shunter",
        model_type="rerank",
        variants=(variant,),
        abilities=("rerank",),
        context_length=96,
        languages=("en",),
        description="Shunter is a miniature reranker of 0.14 million parameters that ships inside Enginehouse.",
        licence="Apache-2.0",
        facts={"type": "normal", "max_tokens": 96},
    )


@hookimpl
def enginehouse_families() -> tuple[ModelFamily, ...]:
    """Every miniature of this package."""
    return (stoker(), shunter())
