"""How deployments look on the wire: one function for each shape that clients know."""

from __future__ import annotations

from typing import Any

from ..host.views import DeploymentView, Event, ReplicaView

OWNER = "enginehouse"
Json = dict[str, Any]


def answers_now(view: DeploymentView) -> bool:
    """Whether a request gets an answer: from a replica that is ready, or after waiting for one to be loaded."""
    return view.waits or any(replica.status == "READY" for replica in view.replicas)


def describe_model(view: DeploymentView) -> Json:
    """Item of `GET /v1/models`, answer of `GET /v1/models/{uid}`: OpenAI's four fields, what the model type
    reports, and how it runs."""
    return {
        "id": view.model_uid,
        "object": "model",
        "created": int(view.created_ts),
        "owned_by": OWNER,
        **view.facts,
        "model_uid": view.model_uid,
        "model_type": view.model_type,
        "model_engine": view.model_engine,
        "engine_reason": view.reason,
        "tasks": view.tasks,
        "replica": len(view.replicas),
        "address": _address(view),
        "accelerators": _accelerators(view.devices),
        "status": view.status,
        "progress": round(view.progress, 4),
        "stage": view.stage,
        "error": view.error,
        "on_demand": view.waits,
        "keep_alive": view.keep_alive,
    }


def describe_memory(view: DeploymentView, measured: int | None) -> Json:
    """Of all replicas together, in bytes. measured: what their processes take of the machine's memory now."""
    estimated = {name: size * len(view.replicas) for name, size in view.memory.items()}
    return {"memory": {"estimated_bytes": estimated, "measured_bytes": measured}}


def describe_instance(view: DeploymentView) -> Json:
    """Item of `GET /v1/models/instances`."""
    facts = view.facts
    return {
        "model_name": facts.get("model_name", view.model_uid),
        "model_uid": view.model_uid,
        "model_version": _version(facts),
        "model_type": view.model_type,
        "model_ability": facts.get("model_ability") or [],
        "replica": len(view.replicas),
        "status": view.status,
        "instance_created_ts": int(view.created_ts),
        "n_worker": 1,
        "replica_statuses": describe_replicas(view),
    }


def describe_replicas(view: DeploymentView) -> list[Json]:
    """Answer of `GET /v1/models/{uid}/replicas`."""
    return [_describe_replica(view, replica) for replica in view.replicas]


def describe_progress(view: DeploymentView) -> Json:
    """Answer of `GET /v1/models/{uid}/progress`. progress: 0 to 1."""
    return {
        "progress": round(view.progress, 4),
        "stage": view.stage,
        "status": view.status,
        "error": view.error,
        "download_files": [file for replica in view.replicas for file in _download_files(view, replica)],
        "replicas": [_replica_progress(view, replica) for replica in view.replicas],
    }


def unknown_progress() -> Json:
    """The same for a uid that is not known (yet): clients ask before the launch has begun."""
    return {
        "progress": 0.0,
        "stage": "pending",
        "status": None,
        "error": None,
        "download_files": [],
        "replicas": [],
    }


def describe_event(event: Event) -> Json:
    """Item of `GET /v1/models/{uid}/events`. event_ts: seconds since 1970."""
    return {"event_type": event.kind, "event_ts": event.ts, "event_content": event.text}


def describe_added(uid: str, replica_id: int) -> Json:
    """Answer of `POST /v1/models/{uid}/replicas`."""
    return {"replica_id": replica_id, "replica_model_uid": f"{uid}-rep{replica_id}", "worker_address": None}


def _describe_replica(view: DeploymentView, replica: ReplicaView) -> Json:
    return {
        "replica_id": replica.replica_id,
        "replica_model_uid": _replica_uid(view, replica),
        "replica_uid": replica.replica_uid or replica.worker_id,
        "worker_address": None,
        "model_address": _worker_address(replica),
        "accelerators": _accelerators(replica.devices),
        "gpu_idx": [int(index) for index in _accelerators(replica.devices) if index.isdigit()],
        "status": replica.status,
        "created_ts": None if replica.started_ts is None else int(replica.started_ts),
        "error_message": replica.error,
        "pid": replica.pid,
        "restarts": replica.restarts,
    }


def _replica_progress(view: DeploymentView, replica: ReplicaView) -> Json:
    return {
        "replica_id": replica.replica_id,
        "replica_model_uid": _replica_uid(view, replica),
        "progress": round(replica.progress, 4),
        "stage": replica.stage,
        "info": replica.error,
        "updated_at": None,
        "download_files": _download_files(view, replica),
    }


def _download_files(view: DeploymentView, replica: ReplicaView) -> list[Json]:
    """Bytes of each file that a replica fetches. progress: 0 to 1, None while the size is unknown."""
    return [
        {
            "file": one.file,
            "downloaded": one.done_bytes,
            "total": one.total_bytes,
            "progress": None if one.total_bytes is None else round(one.done_bytes / max(one.total_bytes, 1), 4),
            "replica_id": replica.replica_id,
            "replica_model_uid": _replica_uid(view, replica),
        }
        for one in replica.downloads
    ]


def _replica_uid(view: DeploymentView, replica: ReplicaView) -> str:
    return f"{view.model_uid}-rep{replica.replica_id}"


def _version(facts: Json) -> str | None:
    """As `GET /v1/models/{type}/{name}/versions` names it, where the model type reports all that makes the name."""
    parts = [facts.get(name) for name in ("model_name", "model_size_in_billions", "model_format", "quantization")]
    return None if None in parts else "{}--{}B--{}--{}".format(*parts)


def _worker_address(replica: ReplicaView) -> str | None:
    """With "unix:" before the path of a socket."""
    address = replica.address
    return f"unix:{address}" if address and address.startswith("/") else address


def _address(view: DeploymentView) -> str | None:
    ready = (_worker_address(replica) for replica in view.replicas if replica.status == "READY")
    return next(ready, None)


def _accelerators(devices: tuple[str, ...]) -> list[str]:
    """Indexes as text, as clients know them; empty on the CPU."""
    return [label.rpartition(":")[2] for label in devices if label != "cpu"]
