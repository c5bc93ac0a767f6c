"""Deployments as Prometheus metrics: how many are in which state, how often they died, how long they take to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..host.loads import BOUNDS, Loads
from ..host.views import DeploymentView, Status
from .meters import cumulative


class Observed(NamedTuple):
    """A deployment as it is now, and its loads since the server started."""

    view: DeploymentView
    loads: Loads


def deployment_metrics(observed: Iterable[Observed]) -> Iterator[Metric]:
    """Families, whether there are deployments or not."""
    views = tuple(observed)
    yield _by_status([each.view for each in views])
    yield from _replicas([each.view for each in views])
    yield _loads(views)


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


def _loads(observed: Iterable[Observed]) -> Metric:
    family = HistogramMetricFamily(
        "enginehouse_load_seconds", "From a worker's start (downloads included) until it was ready.", labels=["model"]
    )
    for view, loads in observed:
        family.add_metric([view.model_uid], cumulative(loads.buckets, BOUNDS), loads.seconds)
    return family
