"""Calls about the server itself."""

from __future__ import annotations

from typing import Any

from ..call import TERMINATE_SECONDS, Call, Json, as_is, as_list, as_object, path_of

_AUTOSTART = "/v1/autostart/models"


def ask_auth() -> Call[bool]:
    """Whether the server asks for a key."""
    return Call(
        action="ask whether the server wants a key",
        method="GET",
        path="/v1/cluster/auth",
        decode=lambda answer: bool(answer["auth"]),
    )


def get_internal_address() -> Call[str]:
    """The address by which the server's machine is known to itself."""
    return Call(action="get the server's internal address", method="GET", path="/v1/address", decode=str)


def get_workers_info() -> Call[list[Json]]:
    """The machines that run models, and what each runs."""
    return Call(action="get the machines", method="GET", path="/v1/workers", decode=as_list)


def get_supervisor_info() -> Call[Json]:
    """The machine that the server runs on."""
    return Call(action="get the server's machine", method="GET", path="/v1/supervisor", decode=as_object)


def abort_cluster() -> Call[Json]:
    """Ends the server and every model: {"result"}."""
    return Call(
        action="stop the server",
        method="DELETE",
        path="/v1/clusters",
        read_seconds=TERMINATE_SECONDS,
        decode=as_object,
    )


def get_progress(request_id: str) -> Call[Json]:
    """How far the request with this id has come: {"progress": 0..1}. For those that make images and videos."""
    return Call(
        action="get the progress of the request",
        method="GET",
        path=path_of("v1", "requests", request_id, "progress"),
        decode=as_object,
    )


def get_autostart_config() -> Call[Json]:
    """What is launched when the server starts: {"models": [...]}."""
    return Call(action="get what starts by itself", method="GET", path=_AUTOSTART, decode=as_object)


def get_autostart_model_summary() -> Call[Json]:
    """How many models start by themselves, and what became of them."""
    return Call(
        action="get the summary of what starts by itself", method="GET", path=f"{_AUTOSTART}/summary", decode=as_object
    )


def upsert_autostart_model(entry: Json) -> Call[Any]:
    """Lets a model start by itself: {"launch": {...}, "enabled", "priority", ...}, in place of one with its uid."""
    return Call(action="let the model start by itself", method="POST", path=_AUTOSTART, body=dict(entry), decode=as_is)


def remove_autostart_model(model_uid: str) -> Call[Any]:
    """Lets a model no longer start by itself."""
    return Call(
        action="let the model no longer start by itself",
        method="DELETE",
        path=_AUTOSTART + path_of(model_uid),
        decode=as_is,
    )
