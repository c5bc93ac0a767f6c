"""The light half: says what the engine can run, and names the heavy half by string."""

from __future__ import annotations

from enginehouse.sdk import Asks, EngineSpec, Requirements, Variant, hookimpl

from .options import TransformersOptions

# What no model can do without; the extra `runtime` also brings what some need.
REQUIREMENTS = ("torch>=2.9", "transformers>=5.0", "safetensors>=0.5", "jinja2>=3.1")

# What some models and requests use: constrained answers, LoRA weights, tokenizers that come without tokenizer.json.
RECOMMENDED = ("llguidance>=1.7", "peft>=0.18", "sentencepiece>=0.2")
ASKS = Asks(remote_code="for models that come with their own classes, where the launch says trust_remote_code")


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="transformers",
            tasks=("generate",),
            formats=("pytorch",),
            architectures=("*ForCausalLM", "*LMHeadModel"),
            devices=("cuda", "mps", "cpu"),
            requirements=REQUIREMENTS,
            engine="enginehouse_transformers.engine:TransformersEngine",
            options=TransformersOptions,
            memory="enginehouse_transformers.estimate:estimate_memory",
            summary="Hugging Face transformers: every causal language model, batched continuously",
        ),
    )


@hookimpl
def enginehouse_requirements(engine: EngineSpec, variant: Variant, device: str) -> Requirements | None:
    if engine.name != "transformers":
        return None
    onto_devices = () if device == "cpu" else ("accelerate>=1.0",)  # loads straight onto an accelerator
    return Requirements(recommended=(*RECOMMENDED, *onto_devices))
