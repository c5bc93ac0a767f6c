"""Calls about downloaded weights."""

from __future__ import annotations

from ..call import DISK_SECONDS, Call, Json, as_object, given


def list_cached_models(model_name: str | None = None, worker_ip: str | None = None) -> Call[list[Json]]:
    """Downloaded weights: {"model_name", "model_version", "path", "bytes", "complete", "used_by", ...}."""
    return Call(
        action="list the cached models",
        method="GET",
        path="/v1/cache/models",
        query=given(model_name=model_name, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=lambda answer: list(answer["list"]),
    )


def list_deletable_models(model_version: str, worker_ip: str | None = None) -> Call[Json]:
    """What removing weights would delete: {"model_version", "worker_ip", "paths", "bytes"}."""
    return Call(
        action="list the files of the cached model",
        method="GET",
        path="/v1/cache/models/files",
        query=given(model_version=model_version, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=as_object,
    )


def confirm_and_remove_model(model_version: str, worker_ip: str | None = None) -> Call[bool]:
    """Removes downloaded weights; whether they are gone. Those that a model is declared with stay."""
    return Call(
        action="remove the cached model",
        method="DELETE",
        path="/v1/cache/models",
        query=given(model_version=model_version, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=lambda answer: bool(answer["result"]),
    )
