"""How a deployment looks on the wire."""

from __future__ import annotations

from enginehouse.host.views import DeploymentView, ReplicaView
from enginehouse.server.describe import describe_instance, describe_model, describe_replicas


def view() -> DeploymentView:
    named = ReplicaView(replica_id=0, worker_id="w0", status="READY", replica_uid="left", devices=("cuda:1",))
    plain = ReplicaView(replica_id=3, worker_id="w3", status="LOADING", devices=("cuda:0", "cuda:2"))
    return DeploymentView(
        model_uid="m",
        model_type="LLM",
        status="READY",
        model_engine="torchy",
        reason="",
        tasks=("chat",),
        replicas=(named, plain),
        created_ts=0.0,
        devices=("cuda:1", "cuda:0", "cuda:2"),
    )


def test_each_replica_shows_its_own_name_and_accelerators() -> None:
    shown = [(one["replica_model_uid"], one["replica_uid"], one["gpu_idx"]) for one in describe_replicas(view())]
    assert shown == [("m-rep0", "left", [1]), ("m-rep3", "w3", [0, 2])]
    assert describe_instance(view())["replica_statuses"] == describe_replicas(view())


def test_a_model_shows_all_its_accelerators() -> None:
    assert describe_model(view())["accelerators"] == ["1", "0", "2"]
