"""Calls about what is declared, as those of `calls`."""

from __future__ import annotations

from .calls import Call, Json


def list_declarations() -> Call[list[Json]]:
    """Every declared model: {"model_uid", "status", "launch"}.

    The launch holds what was set, the engine's options in `options`.
    """
    return Call(
        action="list what is declared",
        method="GET",
        path="/v1/declarations",
        decode=lambda answer: list(answer["declarations"]),
    )
