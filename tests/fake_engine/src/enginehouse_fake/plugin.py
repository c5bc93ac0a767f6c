"""The light half: one engine, three families."""

from __future__ import annotations

from collections.abc import Iterable

from enginehouse.sdk import Asks, EngineSpec, ModelFamily, Variant, hookimpl

from .options import FakeOptions

ASKS = Asks()
_WEIGHTS = Variant(
    format="fake",
    size_in_billions="0_001",
    sources=("package:enginehouse_fake/model",),
    architectures=("FakeForCausalLM",),
)


@hookimpl
def enginehouse_engines() -> Iterable[EngineSpec]:
    return (
        EngineSpec(
            name="fake",
            tasks=("generate",),
            formats=("fake", "pytorch"),
            engine="enginehouse_fake.engine:FakeEngine",
            options=FakeOptions,
            rank=-100,  # never chosen for real weights unless asked for by name
            summary="Runs no model; breaks on demand",
        ),
    )


@hookimpl
def enginehouse_families() -> Iterable[ModelFamily]:
    return (
        _family("fake-model", ("chat", "generate")),
        _family("fake-tools", ("chat", "generate", "tools"), tool_parser="hermes"),
        _family("fake-thinker", ("chat", "generate", "reasoning", "hybrid"), reasoning_parser="think"),
    )


def _family(
    name: str, abilities: tuple[str, ...], tool_parser: str | None = None, reasoning_parser: str | None = None
) -> ModelFamily:
    return ModelFamily(
        name=name,
        model_type="LLM",
        variants=(_WEIGHTS,),
        abilities=abilities,
        context_length=4096,
        languages=("en",),
        description="No model at all; see the fake engine.",
        tool_parser=tool_parser,
        reasoning_parser=reasoning_parser,
    )
