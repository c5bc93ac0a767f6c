"""Counts of the relay: plain numbers on the hot path, turned into Prometheus metrics only when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds

GONE_KEPT = 100  # meters of models that are gone: their last counts are still to be scraped, but not for ever


class Meter:
    """What one model was asked of one task. in_flight: requests from their routing to their last byte."""

    __slots__ = ("buckets", "bytes_in", "bytes_out", "in_flight", "seconds", "statuses")

    def __init__(self) -> None:
        self.in_flight = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.statuses: dict[int, int] = {}

    def count(self, status: int, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """One request is over."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out


class Meters(Collector):
    """All meters, by task and model. A model that is not known is counted under an empty name, so that clients
    cannot make the table grow; nor do models that were launched and are gone, beyond GONE_KEPT.

    runs: whether there is a model of that uid.
    """

    def __init__(self, runs: Callable[[str], bool]) -> None:
        self._runs = runs
        self._meters: dict[tuple[str, str], Meter] = {}

    def of(self, task: str, model: str) -> Meter:
        meter = self._meters.get((task, model))
        if meter is None:
            meter = self._meters[task, model] = Meter()
            self._forget()
        return meter

    def _forget(self) -> None:
        """The oldest of those that nobody can ask any more."""
        if len(self._meters) <= GONE_KEPT:
            return
        gone = [key for key, meter in self._meters.items() if key[1] and not meter.in_flight and not self._runs(key[1])]
        for key in gone[:-GONE_KEPT]:
            del self._meters[key]

    def collect(self) -> Iterator[Metric]:
        labels = ["task", "model"]
        requests = CounterMetricFamily(
            "enginehouse_requests", "Requests answered by workers, or in their place.", labels=[*labels, "status"]
        )
        durations = HistogramMetricFamily(
            "enginehouse_request_seconds", "From the request's last byte to its answer's.", labels=labels
        )
        in_flight = GaugeMetricFamily("enginehouse_requests_in_flight", "Requests being relayed.", labels=labels)
        received = CounterMetricFamily("enginehouse_request_bytes", "Bytes of request bodies.", labels=labels)
        sent = CounterMetricFamily("enginehouse_answer_bytes", "Bytes of answers' bodies.", labels=labels)
        for key, meter in self._meters.items():
            for status, number in meter.statuses.items():
                requests.add_metric([*key, str(status)], number)
            durations.add_metric(key, cumulative(meter.buckets, BOUNDS), meter.seconds)
            in_flight.add_metric(key, meter.in_flight)
            received.add_metric(key, meter.bytes_in)
            sent.add_metric(key, meter.bytes_out)
        yield from (requests, durations, in_flight, received, sent)


def cumulative(buckets: list[int], bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    """Counts up to each bound, as a histogram's family takes them. buckets: one more than bounds."""
    rows: list[tuple[str, float]] = []
    total = 0
    for bound, number in zip((*map(str, bounds), "+Inf"), buckets, strict=True):
        total += number
        rows.append((bound, float(total)))
    return rows
