"""Calls about what can be asked of models, and the one that asks whatever there is."""

from __future__ import annotations

from typing import Any

from ..call import UNBOUNDED, Call, Json, as_is


def list_tasks() -> Call[list[Json]]:
    """What models can be asked: [{"name", "route", "summary", "model_types", "streams", "takes_forms"}]."""
    return Call(action="list the tasks", method="GET", path="/v1/tasks", decode=lambda answer: list(answer["tasks"]))


def list_launchers() -> Call[list[Json]]:
    """What builds flexible models: [{"name", "launcher", "aliases", "requirements", "summary"}]."""
    return Call(
        action="list the launchers",
        method="GET",
        path="/v1/launchers",
        decode=lambda answer: list(answer["launchers"]),
    )


def ask(route: str, body: Json) -> Call[Any]:
    """The answer of a model at the route of any task, also one that a plugin brings; body: with `model`. Its events
    when the body has `stream`."""
    return Call(
        action=f"ask at {route}",
        method="POST",
        path=route,
        body=body,
        read_seconds=UNBOUNDED,
        decode=as_is,
        streams=bool(body.get("stream")),
    )
