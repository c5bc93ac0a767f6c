"""The light half: says what the engine can run, and names the heavy half by string."""

from __future__ import annotations

from enginehouse.sdk import EngineSpec, hookimpl

from .options import TransformersOptions

# What no model can do without; the extra `runtime` also brings what some need (accelerate, sentencepiece).
REQUIREMENTS = ("torch>=2.9", "transformers>=5.0", "safetensors>=0.5", "jinja2>=3.1")


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
