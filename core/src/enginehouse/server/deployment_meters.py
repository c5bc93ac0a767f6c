"""Deployments as Prometheus metrics: how many are in which state, how often they died, how long they take to load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ..host.footprint import bytes_by_group
from ..host.ledger import MACHINE
from ..host.loads import BOUNDS, OUTCOMES, Outcome
from ..host.observation import Observation
from ..host.views import DeploymentView, Status
from .meters import cumulative

MEASURE_SECONDS = 2.0  # the kernel walks a process' pages for it: milliseconds, and tenths where they are many


def deployment_metrics(observed: Sequence[Observation], loads: Mapping[tuple[str, Outcome], int]) -> Iterator[Metric]:
    """Families, whether there are deployments or not. loads: how many, by engine and outcome."""
    views = [each.view for each in observed]
    yield _by_status(views)
    yield from _replicas(views)
    yield _loads(observed)
    yield _outcomes(loads)
    yield _estimates(observed)
    yield _queues(observed)


async def memory_metric(observed: Iterable[Observation]) -> Metric:
    """What the workers take of the machine's memory now. A model that cannot be measured is left out."""
    family = GaugeMetricFamily(
        "enginehouse_memory_bytes",
        "Memory that a model's processes take, shared pages in parts.",
        labels=["model", "device"],
    )
    sizes = await _measured([group for each in observed for group in each.groups])
    for each in observed:
        known = [sizes[group] for group in each.groups if group in sizes]
        if known:
            family.add_metric([each.view.model_uid, MACHINE], sum(known))
    return family


async def _measured(groups: list[int]) -> dict[int, int]:
    """Bytes by process group; none when the kernel takes too long to tell."""
    if not groups:
        return {}
    try:
        async with asyncio.timeout(MEASURE_SECONDS):
            return await asyncio.to_thread(bytes_by_group, groups)
    except TimeoutError:
        return {}


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


def _estimates(observed: Iterable[Observation]) -> Metric:
    family = GaugeMetricFamily(
        "enginehouse_memory_estimated_bytes",
        "Memory that a loaded model is planned to take, as estimated or measured before.",
        labels=["model", "device"],
    )
    for each in observed:
        for device, size in each.takes.items():
            family.add_metric([each.view.model_uid, device], size)
    return family


def _outcomes(loads: Mapping[tuple[str, Outcome], int]) -> Metric:
    """Every outcome of an engine that was ever asked for, so that a first failure shows as a rise from zero."""
    family = CounterMetricFamily(
        "enginehouse_loads", "Workers started to load a model, by how that ended.", labels=["engine", "outcome"]
    )
    for engine in sorted({engine for engine, _ in loads}):
        for outcome in OUTCOMES:
            family.add_metric([engine, outcome], loads.get((engine, outcome), 0))
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
