"""Traces by OpenTelemetry's SDK, sent by OTLP over HTTP from a thread of their own.

The SDK reads its own variables: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_*,
OTEL_EXPORTER_OTLP_*. Names of attributes are those of its semantic conventions where there are such.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..host.loads import Load
from ..host.routing import Replica
from .billing import Tally, Used
from .tracing import Asked

CLOSE_SECONDS = 2.0  # for the last spans of a server that leaves; a collector takes milliseconds
SERVICE = "enginehouse"
NANOSECONDS = 1e9

# What the SDK's threads say again and again about an endpoint that cannot be reached is said once, by _Delivery.
_TALKATIVE = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
Told = dict[str, str | int]
_propagator = TraceContextTextMapPropagator()

logger = logging.getLogger(__name__)


class OpenTelemetryTraces:
    """Spans of this server. They are queued, and dropped when the queue is full: nobody waits for a collector."""

    def __init__(self, endpoint: str) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        # what OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say goes before the name given here
        named = Resource.create()
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: SERVICE}))
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Delivery(OTLPSpanExporter(), endpoint)))
        self._tracer = self._provider.get_tracer("enginehouse", version("enginehouse-core"))
        logger.info("Traces are sent to %s.", endpoint)

    def begin(self, asked: Asked) -> RequestTrace | Unsampled:
        began = time.time_ns()
        span = self._tracer.start_span(
            f"POST {asked.route}",
            _context_of(asked),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "http.route": asked.route, "enginehouse.model": asked.model},
            start_time=began,
        )
        if not span.is_recording():
            return Unsampled(_lines(span))
        return RequestTrace(self._tracer, span, asked, began)

    def tell(self, load: Load) -> None:
        subject = load.subject
        attributes: Told = {
            "enginehouse.model": subject.model_uid,
            "enginehouse.replica": subject.replica_id,
            "enginehouse.engine": subject.engine,
            "enginehouse.restarts": subject.restarts,
            "enginehouse.outcome": load.outcome,
        }
        span = self._tracer.start_span(
            "launch", Context(), attributes=attributes, start_time=round(load.began * NANOSECONDS)
        )
        inside = set_span_in_context(span)
        for phase in load.phases:
            part = self._tracer.start_span(phase.name, inside, start_time=round(phase.began * NANOSECONDS))
            part.end(round(phase.ended * NANOSECONDS))
        if load.outcome == "failed":
            span.set_status(Status(StatusCode.ERROR, load.error))
        span.end(round(load.ended * NANOSECONDS))

    def close(self) -> None:
        """Within CLOSE_SECONDS; what could not be delivered by then is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class RequestTrace:
    """One request: a span for the gateway's part, in it one for each worker that was asked and one for a wait."""

    __slots__ = ("_asked", "_began", "_child", "_context", "_span", "_tracer", "_used")

    def __init__(self, tracer: Tracer, span: Span, asked: Asked, began: int) -> None:
        self._tracer = tracer
        self._began = began
        self._span = span
        self._span.set_attributes(
            {
                "gen_ai.request.model": asked.model,
                "enginehouse.task": asked.task,
                "enginehouse.request_id": asked.request_id,
            }
        )
        self._context = set_span_in_context(self._span, Context())
        self._child: Span | None = None
        self._asked = 0
        self._used: Used | None = None

    @property
    def lines(self) -> bytes:
        return _lines(self._child or self._span)

    def waits(self) -> None:
        self._next("wait", SpanKind.INTERNAL, {})

    def asks(self, replica: Replica) -> None:
        told: Told = {"enginehouse.replica": replica.replica_id, "enginehouse.worker": replica.worker_id}
        if self._asked and self._child is not None:
            self._child.set_status(Status(StatusCode.ERROR, "The worker died before it answered."))
        self._asked = time.time_ns()
        self._next("worker", SpanKind.CLIENT, told)
        self._span.set_attributes(told)

    def answers(self) -> None:
        now = time.time_ns()
        self._span.set_attribute("enginehouse.first_byte_seconds", (now - self._began) / NANOSECONDS)
        if self._child is not None:
            self._child.add_event("first byte", timestamp=now)

    def tally(self, bill: Tally | None) -> Tally | None:
        return _Counted(self, bill)

    def counts(self, used: Used) -> None:
        """What the request has used."""
        self._used = used
        self._span.set_attributes(
            {"gen_ai.usage.input_tokens": used.read, "gen_ai.usage.output_tokens": used.generated}
        )

    def ends(self, status: int, streamed: bool) -> None:
        now = time.time_ns()
        if self._child is not None:
            self._tell_parts(self._child, now)
            self._child.end(now)
        self._span.set_attributes({"http.response.status_code": status, "enginehouse.streamed": streamed})
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now)

    def _next(self, name: str, kind: SpanKind, attributes: Told) -> None:
        now = time.time_ns()
        if self._child is not None:
            self._child.end(now)
        self._child = self._tracer.start_span(name, self._context, kind=kind, attributes=attributes, start_time=now)

    def _tell_parts(self, worker: Span, now: int) -> None:
        """What the worker said of its time: from its arrival to the engine, to the first piece, to the end."""
        used = self._used
        if used is None or not used.first_us:
            return
        began = self._asked + used.prepared_us * 1000
        first = min(began + used.first_us * 1000, now)
        inside = set_span_in_context(worker, Context())
        for name, start, end in (("first piece", began, first), ("generation", first, now)):
            self._tracer.start_span(name, inside, start_time=start).end(end)


class Unsampled:
    """A request that is not traced: its worker is told so, and nothing else is done for it."""

    __slots__ = ("lines",)

    def __init__(self, lines: bytes) -> None:
        self.lines = lines

    def waits(self) -> None: ...

    def asks(self, replica: Replica) -> None: ...

    def answers(self) -> None: ...

    def tally(self, bill: Tally | None) -> Tally | None:
        return bill

    def ends(self, status: int, streamed: bool) -> None: ...


def _context_of(asked: Asked) -> Context:
    """Where its caller says that it belongs."""
    if not asked.traceparent:
        return Context()
    carrier = {"traceparent": asked.traceparent.decode("latin-1"), "tracestate": asked.tracestate.decode("latin-1")}
    return _propagator.extract(carrier, Context())


def _lines(span: Span) -> bytes:
    """Trace Context's headers for who works within a span."""
    here = span.get_span_context()
    parent = f"traceparent: 00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}\r\n"
    state = f"tracestate: {here.trace_state.to_header()}\r\n" if here.trace_state else ""
    return (parent + state).encode("latin-1")


class _Counted:
    """Tells usage to a trace, and to the bill where there is one."""

    __slots__ = ("_bill", "_trace")

    def __init__(self, trace: RequestTrace, bill: Tally | None) -> None:
        self._trace = trace
        self._bill = bill

    def charge(self, used: Used) -> None:
        self._trace.counts(used)
        if self._bill is not None:
            self._bill.charge(used)

    def estimate(self, events: int) -> None:
        if self._bill is not None:
            self._bill.estimate(events)


class _Delivery(SpanExporter):
    """Sends spans, and says once when that does not work, and once when it works again. On the SDK's thread."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._works = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # a foreign library's border; whatever it is, it is told below
            logger.debug("spans were not sent", exc_info=error)
            result = SpanExportResult.FAILURE
        self._note(result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _note(self, works: bool) -> None:
        if works and not self._works:
            logger.info("Traces reach %s again.", self._endpoint)
        elif self._works and not works:
            logger.warning(
                "Traces cannot be delivered to %s; requests are served all the same, and their traces are lost until "
                "it answers. This is said once.",
                self._endpoint,
            )
        self._works = works
