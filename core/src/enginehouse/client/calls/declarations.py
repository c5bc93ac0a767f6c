"""Calls about what is declared, and changing it in place."""

from __future__ import annotations

from typing import Any

from ..call import UNBOUNDED, Call, Json, as_object, path_of
from .models import launch_model


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


def renew_model(model_uid: str, **launch: Any) -> Call[Json]:
    """Gives a model new workers, one replica after the other, without losing a request.

    launch: another launch for it, whole, with the arguments of `launch_model`; without any, as it is declared. Returns
    {"model_uid", "status", "launch"} when all have taken over.
    """
    return Call(
        action="renew the model",
        method="POST",
        path=path_of("v1", "models", model_uid, "renew"),
        body=launch_model(**launch).body if launch else None,
        decode=as_object,
        read_seconds=UNBOUNDED,
    )


def change_model(model_uid: str, *, wait_ready: bool = True, **fields: Any) -> Call[Json]:
    """Changes a model while it runs: replica, request_limits, queue_length, keep_alive, on_demand; null takes back.

    Returns {"model_uid", "status", "launch"} as it is declared now; waits for added replicas unless told not to.
    """
    return Call(
        action="change the model",
        method="PATCH",
        path=path_of("v1", "models", model_uid),
        query={} if wait_ready else {"wait_ready": "false"},
        body=fields,
        decode=as_object,
        read_seconds=UNBOUNDED,
    )
