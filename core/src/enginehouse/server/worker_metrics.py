"""The workers' own metrics, read from each when somebody asks, as metrics of the models that they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from ..host.lines import open_line
from ..host.views import DeploymentView

SCRAPE_SECONDS = 1.0  # a worker answers in milliseconds; one that cannot must not keep the others' from being seen
PAGE_BYTES = 4 * 2**20  # engines with servers of their own tell much, but not more than this
_REQUEST = b"GET /metrics HTTP/1.0\r\nHost: worker\r\n\r\n"


class Source(NamedTuple):
    """One ready worker. address: the path of its Unix socket, or host:port."""

    model: str
    replica: str
    address: str


class Page(NamedTuple):
    """What a worker answered; None where it did not, or made no sense."""

    source: Source
    text: str | None


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def ready_workers(views: Iterable[DeploymentView]) -> list[Source]:
    """Those that answer now."""
    return [
        Source(view.model_uid, str(replica.replica_id), replica.address)
        for view in views
        for replica in view.replicas
        if replica.status == "READY" and replica.address
    ]


async def read_pages(sources: Iterable[Source]) -> list[Page]:
    """All at once, each within SCRAPE_SECONDS."""
    return list(await asyncio.gather(*map(_read_page, sources)))


def render(own: Iterable[Metric], pages: Iterable[Page]) -> bytes:
    """Prometheus' text: the server's own families and the workers', each family once."""
    families = {family.name: family for family in own}
    up = GaugeMetricFamily(
        "enginehouse_worker_up", "Whether a ready worker told its metrics.", labels=["model", "replica"]
    )
    for page in pages:
        told = _read_families(page)
        up.add_metric([page.source.model, page.source.replica], told is not None)
        for family in told or ():
            _merge(families, family, page.source)
    registry = CollectorRegistry()
    registry.register(_Fixed([*families.values(), up]))
    return generate_latest(registry)


async def _read_page(source: Source) -> Page:
    try:
        async with asyncio.timeout(SCRAPE_SECONDS):
            return Page(source, await _get(source.address))
    except (OSError, TimeoutError, ValueError):
        return Page(source, None)


async def _get(address: str) -> str:
    """The page. Raises OSError, ValueError. HTTP/1.0, so that the answer ends with the connection."""
    reader, writer = await open_line(address)
    try:
        writer.write(_REQUEST)
        answer = bytearray()
        while chunk := await reader.read(2**16):
            answer += chunk
            if len(answer) > PAGE_BYTES:
                raise ValueError("more than a page of metrics")
    finally:
        writer.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    if head.split(None, 2)[1:2] != [b"200"]:
        raise ValueError("no metrics")
    return body.decode("utf-8")


def _read_families(page: Page) -> list[Metric] | None:
    if page.text is None:
        return None
    try:
        return list(text_string_to_metric_families(page.text))
    except ValueError:  # an engine's own server may write what it likes
        return None


def _merge(families: dict[str, Metric], family: Metric, source: Source) -> None:
    """Adds a worker's samples to the family of that name; one of another type cannot be told beside it."""
    merged = families.get(family.name)
    if merged is None:
        merged = families[family.name] = Metric(family.name, family.documentation, family.type)
    if merged.type == family.type:
        merged.samples.extend(_labelled(family.samples, source))


def _labelled(samples: Iterable[Sample], source: Source) -> Iterator[Sample]:
    mine = {"model": source.model, "replica": source.replica}
    for sample in samples:
        told = {f"exported_{name}" if name in mine else name: text for name, text in sample.labels.items()}
        yield sample._replace(labels={**told, **mine})
