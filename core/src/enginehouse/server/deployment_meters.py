"""Deployments as Prometheus metrics: how many are in which state, how often they died, how long they take to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..host.loads import BOUNDS
from ..host.observation import Observation
from ..host.views import DeploymentView, Status
from .meters import cumulative


def deployment_metrics(observed: Sequence[Observation]) -> Iterator[Metric]:
    """Families, whether there are deployments or not."""
    views = [each.view for each in observed]
    yield _by_status(views)
    yield from _replicas(views)
    yield _loads(observed)
    yield _memory(observed)
    yield _queues(observed)


def _by_status(views: list[DeploymentView]) -> Metric:
    family = GaugeMetricFamily("enginehouse_models", "Declared models by state.", labels=["status"])
    counts = Counter(view.status for view in views)
    for status in get_args(Status):
        family.add_metric([status], counts[status])
    return family


def _replicas(views: list[DeploymentView]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("enginehouse_replicas_ready", "Replicas that answer.", labels=["model"])
    restarts = CounterMetricFamily(
        "enginehouse_restarts", "Workers that died and were started again.", labels=["model", "replica"]
    )
    for view in views:
        ready.add_metric([view.model_uid], sum(replica.status == "READY" for replica in view.replicas))
        for replica in view.replicas:
            restarts.add_metric([view.model_uid, str(replica.replica_id)], replica.restarts)
    yield from (ready, restarts)


def _memory(observed: Iterable[Observation]) -> Metric:
    family = GaugeMetricFamily(
        "enginehouse_memory_bytes", "Memory that a loaded model was estimated to take.", labels=["model", "device"]
    )
    for each in observed:
        for device, size in each.takes.items():
            family.add_metric([each.view.model_uid, device], size)
    return family


def _queues(observed: Iterable[Observation]) -> Metric:
    family = GaugeMetricFamily("enginehouse_requests_queued", "Requests that wait for a turn.", labels=["model"])
    for each in observed:
        family.add_metric([each.view.model_uid], each.queued)
    return family


def _loads(observed: Iterable[Observation]) -> Metric:
    family = HistogramMetricFamily(
        "enginehouse_load_seconds", "From a worker's start (downloads included) until it was ready.", labels=["model"]
    )
    for each in observed:
        family.add_metric([each.view.model_uid], cumulative(each.loads.buckets, BOUNDS), each.loads.seconds)
    return family
