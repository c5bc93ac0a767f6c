"""What the host says about deployments: values for the API, the CLI and the console."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ..sdk import FetchProgress

# UNLOADED: declared, not in memory; the next request loads it.
# ASLEEP: its processes live and hold nothing of their devices; the next request wakes it.
Status = Literal["CREATING", "LOADING", "READY", "RESTARTING", "ERROR", "TERMINATING", "UNLOADED", "ASLEEP"]


class ReplicaView(msgspec.Struct, frozen=True, kw_only=True):
    """One replica. replica_uid: what somebody called it; address: of its worker's own HTTP, the path of a Unix socket
    or host:port; node: where it runs; restarts: since it was last launched on purpose; downloads: the files it fetches
    or fetched; devices: labels of its own, none on the CPU."""

    replica_id: int
    worker_id: str | None
    status: Status
    pid: int | None = None
    address: str | None = None
    node: str | None = None
    restarts: int = 0
    progress: float = 0.0
    stage: str = ""
    started_ts: float | None = None
    error: str | None = None
    downloads: tuple[FetchProgress, ...] = ()
    replica_uid: str | None = None
    devices: tuple[str, ...] = ()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a deployment. ts: seconds since 1970."""

    ts: float
    kind: Literal["INFO", "WARNING", "ERROR"]
    text: str


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as it is now. facts: what its model type reports; reason: why the engine was chosen;
    source: the URI of its weights.

    waits: requests wait while it loads, instead of being refused. keep_alive: seconds of idleness until it is unloaded.

    memory: the estimate of one replica, bytes by component.
    """

    model_uid: str
    model_type: str
    status: Status
    model_engine: str
    reason: str
    tasks: tuple[str, ...]
    replicas: tuple[ReplicaView, ...]
    created_ts: float
    facts: dict[str, Any] = {}
    devices: tuple[str, ...] = ()
    error: str | None = None
    progress: float = 0.0
    stage: str = "pending"
    memory: dict[str, int] = {}
    source: str | None = None
    waits: bool = False
    keep_alive: float | None = None
