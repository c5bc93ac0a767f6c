"""Calls about what is declared."""

from __future__ import annotations

from ..call import Call, Json


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
