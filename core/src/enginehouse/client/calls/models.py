"""Calls about models that run: launches, replicas, instances."""

from __future__ import annotations

from typing import Any

from ..call import TERMINATE_SECONDS, UNBOUNDED, Call, Json, as_list, as_nothing, as_object, given, path_of


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
        decode=as_object,
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
    kwargs: `wait_ready=False` returns at once; `download_hub` says where weights come from; `environment` is "system",
    "uv" or "path:" and an interpreter; everything else is an option of the engine.
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
        decode=as_object,
    )


def terminate_model(model_uid: str) -> Call[None]:
    """Stops a model and forgets it; what is still being answered may end first."""
    return Call(
        action="terminate the model",
        method="DELETE",
        path=_model(model_uid),
        read_seconds=TERMINATE_SECONDS,
        decode=as_nothing,
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
        decode=as_object,
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
    return Call(action="list the replicas", method="GET", path=_model(model_uid, "replicas"), decode=as_list)


def get_launch_model_progress(model_uid: str) -> Call[Json]:
    """How far a launch has come: {"progress": 0..1, "stage": ..., "replicas": [...]}."""
    return Call(
        action="get the progress of the launch", method="GET", path=_model(model_uid, "progress"), decode=as_object
    )


def cancel_launch_model(model_uid: str) -> Call[None]:
    """Gives up a launch that is under way."""
    return Call(
        action="cancel the launch",
        method="POST",
        path=_model(model_uid, "cancel"),
        read_seconds=TERMINATE_SECONDS,
        decode=as_nothing,
    )


def abort_request(model_uid: str, request_id: str, block_duration: int = 30) -> Call[Json]:
    """Ends a request: {"msg": "DONE", "NOT_FOUND" or "NO_OP"}. block_duration: seconds in which its id is refused."""
    return Call(
        action="abort the request",
        method="POST",
        path=_model(model_uid, "requests", request_id, "abort"),
        body={"block_duration": block_duration},
        decode=as_object,
    )


def get_replica_logs(model_uid: str, replica_id: int = 0, lines: int = 200) -> Call[list[str]]:
    """The last lines that a replica's worker printed."""
    return Call(
        action="read the log",
        method="GET",
        path=_model(model_uid, "replicas", str(replica_id), "logs"),
        query={"lines": str(lines)},
        decode=lambda answer: [str(line) for line in answer["lines"]],
    )


def list_model_events(model_uid: str) -> Call[list[Json]]:
    """What happened to a model, oldest first: {"event_type", "event_ts", "event_content"}."""
    return Call(action="list the events", method="GET", path=_model(model_uid, "events"), decode=as_list)


def get_instance_info(model_name: str | None = None, model_uid: str | None = None) -> Call[list[Json]]:
    """Deployments with their replicas, those that load or have failed too. `model_uid` wins over `model_name`."""
    return Call(
        action="get the instances",
        method="GET",
        path="/v1/models/instances",
        query=given(model_name=model_name, model_uid=model_uid),
        decode=as_list,
    )


def _spell_size(size: int | float | str | None) -> int | str | None:
    """A size as the wire writes it, which knows no floats: 7.0 is 7, 0.5 is "0.5"."""
    if not isinstance(size, float):
        return size
    return int(size) if size.is_integer() else str(size)


def _model(uid: str, *rest: str) -> str:
    return path_of("v1", "models", uid, *rest)
