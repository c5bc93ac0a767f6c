"""Calls about models that can be launched: registrations, the engines that can run them, drafts from weights."""

from __future__ import annotations

from typing import Any

from ..call import Call, Json, as_is, as_list, as_object, given, path_of

INSPECT_SECONDS = 120.0
"""A few kilobytes from a hub, or headers from a disk that sleeps; the server gives up sooner."""


def register_model(
    model_type: str, model: str | Json, persist: bool = False, worker_ip: str | None = None
) -> Call[Any]:
    """Makes a model of your own known.

    model: the registration, as JSON text or as an object. persist: whether the server still knows it after a restart.
    """
    return Call(
        action="register the model",
        method="POST",
        path=_registration(model_type),
        body={"model": model, "persist": persist, "worker_ip": worker_ip},
        decode=as_is,
    )


def unregister_model(model_type: str, model_name: str) -> Call[Any]:
    """Forgets a registration; what runs of it runs on."""
    return Call(
        action="unregister the model", method="DELETE", path=_registration(model_type, model_name), decode=as_is
    )


def list_model_registrations(model_type: str, detailed: bool = False) -> Call[list[Json]]:
    """The models of a type that can be launched, plugins' too: {"model_name", "is_builtin"}; detailed: all of each."""
    return Call(
        action="list the registrations",
        method="GET",
        path=_registration(model_type),
        query={"detailed": "true" if detailed else "false"},
        decode=as_list,
    )


def get_model_registration(model_type: str, model_name: str) -> Call[Json]:
    """One registration, or a plugin's model in the same shape."""
    return Call(
        action="get the registration", method="GET", path=_registration(model_type, model_name), decode=as_object
    )


def inspect_model(model_path: str, model_family: str | None = None) -> Call[Json]:
    """A registration of weights, drafted from what their files say; nothing is registered yet.

    model_path: a folder or a GGUF file of the server's machine, or a hub's id.
    """
    return Call(
        action="inspect the model",
        method="POST",
        path="/v1/models/llm/auto-register",
        body={"model_path": model_path, "model_family": model_family},
        read_seconds=INSPECT_SECONDS,
        decode=as_object,
    )


def list_engines() -> Call[list[Json]]:
    """The server's engines, each with its launch options as a JSON schema."""
    return Call(action="list the engines", method="GET", path="/v1/engines", decode=lambda answer: answer["engines"])


def query_engine_by_model_name(
    model_name: str, model_type: str | None = "LLM", enable_virtual_env: bool | None = None
) -> Call[Json | None]:
    """By engine: the variants of a model that it can run, as a list, or a sentence why it cannot; None for a model
    that the server does not know."""
    wanted = None if enable_virtual_env is None else str(enable_virtual_env).lower()
    return Call(
        action="query the engines of the model",
        method="GET",
        path=path_of("v1", "engines", *([model_type] if model_type else []), model_name),
        query=given(enable_virtual_env=wanted),
        decode=lambda answer: None if answer is None else as_object(answer),
    )


def vllm_models() -> Call[Json]:
    """The models that an engine named vllm can run, by what they do: {"chat": [...], "generate": [...]}."""
    return Call(action="list the models of vLLM", method="GET", path="/v1/models/vllm-supported", decode=as_object)


def _registration(model_type: str, *name: str) -> str:
    return path_of("v1", "model_registrations", model_type, *name)
