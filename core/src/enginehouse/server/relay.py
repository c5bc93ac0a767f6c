"""The relay: reads which model a request is for, passes its bytes to a worker and the worker's bytes back."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from ..host.admission import Admission
from ..host.routing import Replica, RoutingTable
from ..host.turns import LimitReached
from ..sdk import EnginehouseError, NotReady, Task, WorkerLost
from ..sdk.errors import to_wire
from ..sdk.logs import REQUEST_ID
from .arrivals import ClientGone, Heading, read_address, read_body, read_heading, rename
from .billing import ASK, Tally, admit, stand_before
from .errors import send_error
from .flights import Flights, aborted
from .forms import boundary_of, form_as_json
from .meters import Meter, Meters
from .tracing import Asked, Trace, Traces
from .upstream import Answer, Pool, WorkerGone
from .watch import Watch
from .whole_events import WholeEvents

ATTEMPTS = 2  # a worker that dies is one accident; a request that meets two may well be their cause
LOST_RETRY_AFTER = 1  # seconds: another replica serves at once, a new worker takes a few seconds
CLIENT_CLOSED = 499  # what a request whose client left is counted as

_PASSED_ON = frozenset((b"content-type", b"content-length", b"retry-after", b"cache-control"))


class Request(NamedTuple):
    """A request that is read: what goes to the worker, and whom it is for.

    route: the path it came by, where that is not its task's.
    """

    task: Task
    model: str
    heading: Heading
    body: bytes
    route: str = ""
    trace: Trace | None = None

    def head(self, more: bytes) -> bytes:
        """Its first lines as a worker gets them. more: further header lines."""
        return b"".join(
            (
                b"POST ",
                self.task.route.encode(),
                b" HTTP/1.1\r\nhost: worker\r\ncontent-type: application/json\r\nx-request-id: ",
                self.heading.request_id,
                b"\r\ncontent-length: ",
                str(len(self.body)).encode(),
                b"\r\n",
                self._trace_lines(),
                more,
                b"\r\n",
            )
        )

    def _trace_lines(self) -> bytes:
        """Where its part of a trace belongs: to this server's where it makes one, else to its caller's."""
        if self.trace is not None:
            return self.trace.lines
        traceparent, tracestate = self.heading.traceparent, self.heading.tracestate
        if not traceparent:
            return b""
        state = b"tracestate: " + tracestate + b"\r\n" if tracestate else b""
        return b"traceparent: " + traceparent + b"\r\n" + state

    def asked(self) -> Asked:
        """What of it is traced."""
        heading = self.heading
        return Asked(
            route=self.route or self.task.route,
            task=self.task.name,
            model=self.model,
            request_id=heading.request_id.decode("latin-1"),
            traceparent=heading.traceparent,
            tracestate=heading.tracestate,
        )


class Opened(NamedTuple):
    """A worker that has begun to answer. first: the first bytes of its answer's body."""

    replica: Replica
    answer: Answer
    first: bytes


class Out(Protocol):
    """The way back to one client. status and bytes: of what was sent, for the meters."""

    status: int
    bytes: int

    @property
    def streamed(self) -> bool:
        """Whether the client was sent a stream of events."""

    async def refuse(self, error: EnginehouseError) -> None:
        """Answers in a worker's place."""

    async def relay(self, opened: Opened, model: str) -> None:
        """Sends the worker's answer, as it comes."""

    async def break_off(self, error: EnginehouseError) -> None:
        """Answers with an error, or ends an answer that has begun with one."""


class Relay:
    """Relays requests of every task to the workers that the routing table names."""

    def __init__(
        self,
        routing: RoutingTable,
        meters: Meters,
        body_bytes: int,
        admission: Admission,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._routing = routing
        self._admission = admission
        self._meters = meters
        self._body_bytes = body_bytes
        self._pools: dict[str, Pool] = {}
        self.flights = Flights()

    async def serve(self, task: Task, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its body to the last byte of its answer."""
        heading = read_heading(scope["headers"])
        try:
            body = await read_body(receive, heading.length, self._body_bytes)
            if task.takes_forms and (boundary := boundary_of(scope["headers"])):
                body = await asyncio.to_thread(form_as_json, body, boundary)  # its files may be large
            addressed = read_address(body)
            if addressed.request_id is not None:
                heading = rename(heading, addressed.request_id)
            request = Request(task, addressed.model, heading, body)
            REQUEST_ID.set(heading.request_id)
        except EnginehouseError as error:
            return await send_error(send, error, heading.request_id)
        except ClientGone:
            return
        await self.pass_on(request, receive, _Out(send, heading.request_id))

    async def pass_on(self, request: Request, receive: Receive, out: Out) -> None:
        """A request that is read: to a worker, and its answer to `out`."""
        known = self._routing.get(request.model) is not None
        meter = self._meters.of(request.task.name, request.model if known else "")
        await self._measured(request, meter, receive, out)

    def close(self) -> None:
        """Closes the connections to workers that lie idle."""
        for pool in self._pools.values():
            pool.close()

    async def _measured(self, request: Request, meter: Meter, receive: Receive, out: Out) -> None:
        started = perf_counter()
        meter.in_flight += 1
        request_id = request.heading.request_id
        if self._traces is not None:
            request = request._replace(trace=self._traces.begin(request.asked()))
        flight = self.flights.begin(request.model, request_id)
        try:
            with Watch(receive):
                await self._answered(request, out)
        except ClientGone:
            out.status = CLIENT_CLOSED
        except asyncio.CancelledError:
            if not flight.ends_by_abort():
                raise
            await out.break_off(aborted(request.model, request_id))
            out.status = CLIENT_CLOSED
        finally:
            self.flights.end(request_id, flight)
            meter.in_flight -= 1
            meter.count(out.status, perf_counter() - started, len(request.body), out.bytes)
            if request.trace is not None:
                request.trace.ends(out.status, out.streamed)

    async def _answered(self, request: Request, out: Out) -> None:
        try:
            self.flights.check(request.model, request.heading.request_id)
            bill: Tally | None = admit(request.model, len(request.body))
            if request.trace is not None:
                bill = request.trace.tally(bill)
            opened = await self._open(request, b"" if bill is None else ASK)
        except EnginehouseError as error:
            out.status = error.status
            return await out.refuse(error)
        if bill is not None:
            opened = Opened(opened.replica, *stand_before(opened.answer, opened.first, bill))
        try:
            await out.relay(opened, request.model)
        finally:
            opened.replica.release()
            opened.answer.close()

    async def _open(self, request: Request, more: bytes) -> Opened:
        """A worker that answers; a second one when the first dies before its first byte. more: header lines."""
        tried: list[str] = []
        trace = request.trace
        while True:
            try:
                replica = self._pick(request, tried)
            except (NotReady, LimitReached) as refusal:
                if trace is not None:
                    trace.waits()
                replica = await self._admission.wait(request.model, request.task.name, tried, refusal)
            replica.in_flight += 1
            if trace is not None:
                trace.asks(replica)
            try:
                answer, first = await self._pool(replica.address).ask(request.head(more), request.body)
            except WorkerGone as gone:
                replica.release()
                tried.append(replica.worker_id)
                if len(tried) == ATTEMPTS:
                    raise _lost(request.model, str(gone)) from gone
            except BaseException:  # also when the client goes: the replica's place is given back
                replica.release()
                raise
            else:
                if trace is not None:
                    trace.answers()
                return Opened(replica, answer, first)

    def _pick(self, request: Request, tried: list[str]) -> Replica:
        try:
            return self._routing.pick(request.model, request.task.name, tried)
        except NotReady as error:
            if tried:
                raise _lost(request.model, "It was the only one.") from error
            raise

    def _pool(self, address: str) -> Pool:
        pool = self._pools.get(address)
        if pool is None:
            # A new worker is the moment to forget those that are gone; what they still answer is not cut off.
            there = self._routing.addresses()
            self._pools = {one: kept for one, kept in self._pools.items() if one in there}
            pool = self._pools[address] = Pool(address)
        return pool


def _lost(model: str, how: str) -> WorkerLost:
    return WorkerLost(
        f"A worker of model {model!r} died before it answered. {how} Try again; see the model's events for the reason.",
        retry_after=LOST_RETRY_AFTER,
    )


class _Out:
    """Passes a worker's bytes on as they are; of a stream, whole events."""

    __slots__ = ("_begun", "_events", "_send", "bytes", "request_id", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self.request_id = request_id
        self.status = CLIENT_CLOSED
        self.bytes = 0
        self._begun = False
        self._events: WholeEvents | None = None

    @property
    def streamed(self) -> bool:
        return self._events is not None

    async def refuse(self, error: EnginehouseError) -> None:
        await send_error(self._send, error, self.request_id)

    async def relay(self, opened: Opened, model: str) -> None:
        """The whole answer, piece by piece as it comes."""
        answer = opened.answer
        self.status = answer.status
        headers = [header for header in answer.headers if header[0] in _PASSED_ON]
        headers.append((b"x-request-id", self.request_id))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        self._begun = True
        if _is_event_stream(headers):
            self._events = WholeEvents()
        try:
            await self._pass_on(answer, opened.first)
        except WorkerGone:
            await self.break_off(
                WorkerLost(f"The worker of model {model!r} died while it answered; what came so far is not the whole.")
            )

    async def break_off(self, error: EnginehouseError) -> None:
        if not self._begun:
            await self.refuse(error)
        elif self._events is not None:
            await self._piece(_error_event(error, self._events.whole), more=False)
        # else: returning in mid answer makes the server cut the connection, so that nobody takes it for whole

    async def _pass_on(self, answer: Answer, piece: bytes) -> None:
        events = self._events
        while not answer.ended:
            if events is not None:
                piece = events.cut(piece)
            if piece:
                await self._piece(piece, more=True)
            piece = await answer.piece()
        if events is not None:
            piece = events.cut(piece) + events.rest()
        await self._piece(piece, more=False)

    async def _piece(self, piece: bytes, *, more: bool) -> None:
        self.bytes += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})


def _is_event_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def _error_event(error: EnginehouseError, whole: bool) -> bytes:
    """The last event of a stream that is not whole; a half event before it is ended first."""
    body: dict[str, Any] = to_wire(error)
    return (b"" if whole else b"\n\n") + b"event: error\ndata: " + msgspec.json.encode(body) + b"\n\n"
