"""What can be asked of a server: each function here is pure and gives a `Call`, which both clients know how to send.

The functions carry the names, parameters and documentation of the clients' methods.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")
Json = dict[str, Any]

READ_SECONDS = 30.0
"""Administrative answers come from the server's memory; one that takes longer will not come."""

TERMINATE_SECONDS = 600.0
"""Answered when the processes are gone. Running requests may end first: half a minute unless the server is set
otherwise."""

DISK_SECONDS = 120.0
"""Answered when the server's disk was read, or terabytes on it were let go."""

INSPECT_SECONDS = 120.0
"""A few kilobytes from a hub, or headers from a disk that sleeps; the server gives up sooner."""

UNBOUNDED = None
"""For launches (tens of gigabytes may have to arrive first) and generation (a long prompt is read before the
first byte). Only the caller knows how long is too long; a peer that vanished is found by TCP keep-alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, and how its answer is read.

    action: completes "Failed to ...". read_seconds: longest silence of the server; None for no limit.
    decode: from the answer's JSON to what the caller gets.
    """

    action: str
    method: str
    path: str
    decode: Callable[[Any], T]
    query: dict[str, str] = field(default_factory=dict)
    body: Json | None = None
    read_seconds: float | None = READ_SECONDS

    @property
    def streams(self) -> bool:
        return bool(self.body and self.body.get("stream"))


def ask_auth() -> Call[bool]:
    """Whether the server asks for a key."""
    return Call(
        action="ask whether the server wants a key",
        method="GET",
        path="/v1/cluster/auth",
        decode=lambda answer: bool(answer["auth"]),
    )


def list_models(*, any_status: bool = False) -> Call[dict[str, Json]]:
    """Models by uid, each as `describe_model` says. any_status: also those that load or have failed."""
    return Call(
        action="list the models",
        method="GET",
        path="/v1/models",
        query={"all": "true"} if any_status else {},
        decode=lambda answer: {item["id"]: item for item in answer["data"]},
    )


def describe_model(model_uid: str, *, any_status: bool = False) -> Call[Json]:
    """Everything known about a model. any_status: also when it is still loading or has failed."""
    return Call(
        action="describe the model",
        method="GET",
        path=_model(model_uid),
        query={"any_status": "true"} if any_status else {},
        decode=_object,
    )


def launch_model(
    model_name: str,
    model_type: str = "LLM",
    model_engine: str | None = None,
    model_uid: str | None = None,
    model_size_in_billions: int | float | str | None = None,
    model_format: str | None = None,
    quantization: str | None = None,
    replica: int = 1,
    n_worker: int = 1,
    n_gpu: int | str | None = "auto",
    peft_model_config: Json | None = None,
    request_limits: int | None = None,
    worker_ip: str | list[str] | None = None,
    gpu_idx: int | list[int] | None = None,
    replica_config: list[Json] | None = None,
    model_path: str | None = None,
    enable_thinking: bool | None = None,
    enable_virtual_env: bool | None = None,
    virtual_env_packages: list[str] | None = None,
    envs: dict[str, str] | None = None,
    virtual_env_find_links: list[str] | None = None,
    **kwargs: Any,
) -> Call[str]:
    """Launches a model and returns its uid, once it is ready.

    model_uid: defaults to the model's name. n_gpu: a number, "auto", or None for the CPU alone.
    kwargs: `wait_ready=False` returns at once; `download_hub` says where weights come from; everything else
    is an option of the engine.
    """
    fields = dict(locals())  # the parameters are the wire's fields, name for name, and all are always sent
    options = fields.pop("kwargs")
    wait_ready = options.pop("wait_ready", True)
    fields["model_size_in_billions"] = _spell_size(model_size_in_billions)
    return Call(
        action="launch the model",
        method="POST",
        path="/v1/models",
        query={} if wait_ready else {"wait_ready": "false"},
        body=fields | options,
        read_seconds=UNBOUNDED,
        decode=lambda answer: str(answer["model_uid"]),
    )


def plan_model(model_name: str, **kwargs: Any) -> Call[Json]:
    """What `launch_model` would do with these arguments, and nothing else: engine, weights, options, memory, and
    whether it fits."""
    launch = launch_model(model_name, **{**kwargs, "wait_ready": True})
    return Call(
        action="plan the launch",
        method="POST",
        path=launch.path,
        query={"dry_run": "true"},
        body=launch.body,
        decode=_object,
    )


def terminate_model(model_uid: str) -> Call[None]:
    """Stops a model and forgets it; what is still being answered may end first."""
    return Call(
        action="terminate the model",
        method="DELETE",
        path=_model(model_uid),
        read_seconds=TERMINATE_SECONDS,
        decode=_nothing,
    )


def add_model_replica(model_uid: str, replica_config: Json | None = None) -> Call[Json]:
    """Adds a replica and returns {"replica_id", "replica_model_uid", "worker_address"}, once it is ready.

    replica_config: {"devices": [{"n_gpu": ..., "gpu_idx": [...]}]} to choose its devices.
    """
    return Call(
        action="add the replica",
        method="POST",
        path=_model(model_uid, "replicas"),
        body={} if replica_config is None else {"replica_config": replica_config},
        read_seconds=UNBOUNDED,
        decode=_object,
    )


def terminate_model_replica(model_uid: str, replica_id: int) -> Call[int]:
    """Takes a replica away, and returns how many are left; the last one ends the model."""
    return Call(
        action="terminate the replica",
        method="DELETE",
        path=_model(model_uid, "replicas", str(replica_id)),
        read_seconds=TERMINATE_SECONDS,
        decode=lambda answer: int(answer["remaining_replicas"]),
    )


def list_model_replicas(model_uid: str) -> Call[list[Json]]:
    """A model's replicas, each with its id, status, process and address."""
    return Call(action="list the replicas", method="GET", path=_model(model_uid, "replicas"), decode=_list)


def get_launch_model_progress(model_uid: str) -> Call[Json]:
    """How far a launch has come: {"progress": 0..1, "stage": ..., "replicas": [...]}."""
    return Call(
        action="get the progress of the launch", method="GET", path=_model(model_uid, "progress"), decode=_object
    )


def cancel_launch_model(model_uid: str) -> Call[None]:
    """Gives up a launch that is under way."""
    return Call(
        action="cancel the launch",
        method="POST",
        path=_model(model_uid, "cancel"),
        read_seconds=TERMINATE_SECONDS,
        decode=_nothing,
    )


def abort_request(model_uid: str, request_id: str, block_duration: int = 30) -> Call[Json]:
    """Ends a request: {"msg": "DONE", "NOT_FOUND" or "NO_OP"}. block_duration: seconds in which its id is refused."""
    return Call(
        action="abort the request",
        method="POST",
        path=_model(model_uid, "requests", quote(request_id, safe=""), "abort"),
        body={"block_duration": block_duration},
        decode=_object,
    )


def get_instance_info(model_name: str | None = None, model_uid: str | None = None) -> Call[list[Json]]:
    """Deployments with their replicas, those that load or have failed too. `model_uid` wins over `model_name`."""
    given = {"model_name": model_name, "model_uid": model_uid}
    return Call(
        action="get the instances",
        method="GET",
        path="/v1/models/instances",
        query={key: value for key, value in given.items() if value is not None},
        decode=_list,
    )


def list_engines() -> Call[list[Json]]:
    """The server's engines, each with its launch options as a JSON schema."""
    return Call(action="list the engines", method="GET", path="/v1/engines", decode=lambda answer: answer["engines"])


def query_engine_by_model_name(
    model_name: str, model_type: str | None = "LLM", enable_virtual_env: bool | None = None
) -> Call[Json | None]:
    """By engine: the variants of a model that it can run, as a list, or a sentence why it cannot; None for a model
    that the server does not know."""
    parts = [model_type, model_name] if model_type else [model_name]
    return Call(
        action="query the engines of the model",
        method="GET",
        path="/".join(("/v1/engines", *(quote(part, safe="") for part in parts))),
        query={} if enable_virtual_env is None else {"enable_virtual_env": str(enable_virtual_env).lower()},
        decode=lambda answer: None if answer is None else _object(answer),
    )


def list_plugins() -> Call[list[Json]]:
    """The server's plugins, also those that were refused, with the reason."""
    return Call(action="list the plugins", method="GET", path="/v1/plugins", decode=lambda answer: answer["plugins"])


def register_model(
    model_type: str, model: str | Json, persist: bool = False, worker_ip: str | None = None
) -> Call[None]:
    """Makes a model of your own known. model: the registration, as JSON text or as an object.

    persist: whether the server still knows it after a restart.
    """
    return Call(
        action="register the model",
        method="POST",
        path=_registration(model_type),
        body={"model": model, "persist": persist, "worker_ip": worker_ip},
        decode=_nothing,
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
        decode=_object,
    )


def unregister_model(model_type: str, model_name: str) -> Call[None]:
    """Forgets a registration; what runs of it runs on."""
    return Call(
        action="unregister the model", method="DELETE", path=_registration(model_type, model_name), decode=_nothing
    )


def list_model_registrations(model_type: str, detailed: bool = False) -> Call[list[Json]]:
    """The models of a type that can be launched, plugins' too: {"model_name", "is_builtin"}; detailed: all of each."""
    return Call(
        action="list the registrations",
        method="GET",
        path=_registration(model_type),
        query={"detailed": "true" if detailed else "false"},
        decode=_list,
    )


def get_model_registration(model_type: str, model_name: str) -> Call[Json]:
    """One registration, or a plugin's model in the same shape."""
    return Call(action="get the registration", method="GET", path=_registration(model_type, model_name), decode=_object)


def list_cached_models(model_name: str | None = None, worker_ip: str | None = None) -> Call[list[Json]]:
    """Downloaded weights: {"model_name", "model_version", "path", "bytes", "complete", "used_by", ...}."""
    return Call(
        action="list the cached models",
        method="GET",
        path="/v1/cache/models",
        query=_given(model_name=model_name, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=lambda answer: list(answer["list"]),
    )


def list_deletable_models(model_version: str, worker_ip: str | None = None) -> Call[Json]:
    """What removing weights would delete: {"model_version", "worker_ip", "paths", "bytes"}."""
    return Call(
        action="list the files of the cached model",
        method="GET",
        path="/v1/cache/models/files",
        query=_given(model_version=model_version, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=_object,
    )


def confirm_and_remove_model(model_version: str, worker_ip: str | None = None) -> Call[bool]:
    """Removes downloaded weights; whether they are gone. Those that a model is declared with stay."""
    return Call(
        action="remove the cached model",
        method="DELETE",
        path="/v1/cache/models",
        query=_given(model_version=model_version, worker_ip=worker_ip),
        read_seconds=DISK_SECONDS,
        decode=lambda answer: bool(answer["result"]),
    )


def chat(
    model_uid: str,
    messages: list[Json],
    tools: list[Json] | None = None,
    enable_thinking: bool | None = None,
    generate_config: Json | None = None,
) -> Call[Json]:
    """An answer to a conversation (OpenAI's chat completions)."""
    body: Json = {"model": model_uid, "messages": messages, **(generate_config or {})}
    if tools is not None:
        body["tools"] = tools
    if enable_thinking is not None:
        switches = {"enable_thinking": enable_thinking, "thinking": enable_thinking}
        body["chat_template_kwargs"] = {**_template_options(body), **switches}
    return Call(
        action="chat with the model",
        method="POST",
        path="/v1/chat/completions",
        body=body,
        read_seconds=UNBOUNDED,
        decode=_object,
    )


def generate(model_uid: str, prompt: Any, generate_config: Json | None = None) -> Call[Json]:
    """A continuation of a text (OpenAI's completions)."""
    return Call(
        action="generate with the model",
        method="POST",
        path="/v1/completions",
        body={"model": model_uid, "prompt": prompt, **(generate_config or {})},
        read_seconds=UNBOUNDED,
        decode=_object,
    )


def _given(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


def _model(uid: str, *rest: str) -> str:
    return "/".join(("/v1/models", quote(uid, safe=""), *rest))


def _registration(model_type: str, *name: str) -> str:
    return "/".join(("/v1/model_registrations", *(quote(part, safe="") for part in (model_type, *name))))


def _spell_size(size: int | float | str | None) -> int | str | None:
    """A size as the wire writes it: 7.0 is 7, 0.5 is "0_5"."""
    if not isinstance(size, float):
        return size
    return int(size) if size.is_integer() else str(size).replace(".", "_")


def _template_options(body: Json) -> Json:
    given = body.get("chat_template_kwargs") or {}
    return dict(json.loads(given) if isinstance(given, str) else given)


def _object(answer: Any) -> Json:
    return dict(answer)


def _list(answer: Any) -> list[Json]:
    return list(answer)


def _nothing(answer: Any) -> None:
    return None
