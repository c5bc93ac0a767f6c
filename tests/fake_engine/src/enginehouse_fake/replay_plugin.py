"""The light half of the engine `replay`, a plugin of its own: it runs no model, and is certified by nobody."""

from __future__ import annotations

from enginehouse.sdk import Asks, EngineSpec, ModelFamily, Variant, hookimpl

from .replay import ReplayOptions

ASKS = Asks(subprocesses="the player of cassettes, as a worker")
_CASSETTE = Variant(format="cassette", size_in_billions="0_001", sources=("package:enginehouse_fake/model",))
_PLAYED = (("LLM", ("chat", "generate")), ("embedding", ("embed",)), ("rerank", ("rerank",)))


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="replay",
            tasks=("chat", "generate", "embed", "rerank"),
            formats=("cassette",),
            model_types=tuple(kind for kind, _ in _PLAYED),
            command="enginehouse_fake.replay:command",
            options=ReplayOptions,
            rank=-100,
            summary="Answers as a cassette says that another engine did",
        ),
    )


@hookimpl
def enginehouse_families() -> tuple[ModelFamily, ...]:
    return tuple(
        ModelFamily(
            name="replay",
            model_type=kind,
            variants=(_CASSETTE,),
            abilities=abilities,
            description="A cassette, played.",
        )
        for kind, abilities in _PLAYED
    )
