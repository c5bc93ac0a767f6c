"""The light half: says what the engine can run, and names the heavy half by string."""

from __future__ import annotations

from enginehouse.sdk import EngineSpec, hookimpl

from .options import LlamaCppOptions

REQUIREMENTS = ("xllamacpp>=2026.10", "jinja2>=3.1", "llguidance>=1.3")


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="llama.cpp",
            tasks=("generate", "embed"),
            model_types=("LLM", "embedding"),
            formats=("ggufv2",),
            devices=("cuda", "mps", "cpu"),
            requirements=REQUIREMENTS,
            engine="enginehouse_llamacpp.engine:LlamaCppEngine",
            options=LlamaCppOptions,
            memory="enginehouse_llamacpp.estimate:estimate_memory",
            summary="llama.cpp: GGUF files on CPUs and GPUs, batched continuously by its own server core",
        ),
    )
