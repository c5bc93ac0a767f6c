"""Traces of requests and loads, as the rest of the server sees them; without an endpoint there are none.

What makes spans is in `opentelemetry_traces.py`, which is imported only when an endpoint is configured.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from ..host.loads import Load
from ..host.routing import Replica
from .billing import Tally

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
IMPLEMENTATION = "enginehouse.server.opentelemetry_traces"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
INSTALL = "pip install 'enginehouse-core[otel]'"

logger = logging.getLogger(__name__)


class Asked(NamedTuple):
    """A request that is about to be traced. traceparent, tracestate: as its caller sent them, or empty."""

    route: str
    task: str
    model: str
    request_id: str
    traceparent: bytes
    tracestate: bytes


class Trace(Protocol):
    """One request. Its methods are called in this order, each for what happens just then."""

    @property
    def lines(self) -> bytes:
        """Header lines for the worker that is asked, each with its line break."""

    def waits(self) -> None:
        """For its model to be loaded, or for a turn."""

    def asks(self, replica: Replica) -> None:
        """A worker; again when the one before was lost."""

    def answers(self) -> None:
        """The first bytes of the worker's answer are here."""

    def tally(self, bill: Tally | None) -> Tally | None:
        """What shall be told the request's usage, beside its bill; None when nobody wants to know."""

    def ends(self, status: int, streamed: bool) -> None:
        """With this HTTP status."""


class Traces(Protocol):
    """All traces of this server."""

    def begin(self, asked: Asked) -> Trace: ...

    def tell(self, load: Load) -> None:
        """A load that is over."""

    def close(self) -> None:
        """Sends what is left, within a bound."""


def open_traces(environment: Mapping[str, str]) -> Traces | None:
    """Traces, where OpenTelemetry's variables name an endpoint. What keeps them from being made is logged, once."""
    endpoint = _first(environment, ENDPOINTS)
    if endpoint is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    protocol = _first(environment, PROTOCOLS) or SPOKEN
    if protocol != SPOKEN:
        logger.warning("Traces for %s are not made: %s is not spoken, only %s.", endpoint, protocol, SPOKEN)
        return None
    try:
        return cast(Traces, import_module(IMPLEMENTATION).OpenTelemetryTraces(endpoint))
    except ModuleNotFoundError as error:
        logger.warning("Traces for %s are not made: %s is not installed. %s", endpoint, error.name, INSTALL)
    except Exception as error:  # noqa: BLE001 - a foreign library reads a dozen variables; none may keep the server down
        logger.warning("Traces for %s are not made: %s. Check the variables OTEL_*.", endpoint, error)
    return None


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
