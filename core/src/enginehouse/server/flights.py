"""Requests in flight by their id, so that somebody can abort one."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

from ..sdk import Cancelled

MOST_BLOCKED = 10_000  # ids; the oldest are let through again when more come, so that nobody fills the memory

Outcome = Literal["DONE", "NOT_FOUND"]


class Flight:
    """One request. aborted: somebody asked for its end."""

    __slots__ = ("aborted", "model", "task")

    def __init__(self, model: str) -> None:
        self.model = model
        self.task = asyncio.current_task()
        self.aborted = False

    def ends_by_abort(self) -> bool:
        """Whether the cancellation that is under way is the abort's alone; then it goes no further."""
        return self.aborted and self.task is not None and self.task.uncancel() == 0


class Flights:
    """All requests that are being relayed. One entry each; of two with one id the later can be aborted."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}
        self._blocked: dict[tuple[str, bytes], float] = {}

    def begin(self, model: str, request_id: bytes) -> Flight:
        flight = self._flights[request_id] = Flight(model)
        return flight

    def end(self, request_id: bytes, flight: Flight) -> None:
        if self._flights.get(request_id) is flight:
            del self._flights[request_id]

    def knows(self, request_id: bytes) -> bool:
        """Whether a request with this id is under way."""
        return request_id in self._flights

    def check(self, model: str, request_id: bytes) -> None:
        """Raises Cancelled for an id that is blocked."""
        if not self._blocked:
            return
        left = self._blocked.get((model, request_id), 0.0) - time.monotonic()
        if left > 0:
            name = request_id.decode("latin-1")
            raise Cancelled(
                f"Request {name!r} to model {model!r} was aborted, and its id is blocked for another {left:.0f} s. "
                "Send it with another id, or later."
            )

    def abort(self, model: str, request_id: bytes, block_seconds: float) -> Outcome:
        """Ends the request with this id, and lets none of this id through for `block_seconds`."""
        self._block(model, request_id, block_seconds)
        flight = self._flights.get(request_id)
        if flight is None or flight.model != model or flight.task is None:
            return "NOT_FOUND"
        if not flight.aborted:
            flight.aborted = True
            flight.task.cancel()
        return "DONE"

    def _block(self, model: str, request_id: bytes, seconds: float) -> None:
        now = time.monotonic()
        for key in [key for key, until in self._blocked.items() if until <= now]:
            del self._blocked[key]
        if seconds > 0:
            self._blocked[model, request_id] = now + seconds
        while len(self._blocked) > MOST_BLOCKED:
            del self._blocked[next(iter(self._blocked))]


def aborted(model: str, request_id: bytes) -> Cancelled:
    """What the client of an aborted request is told."""
    return Cancelled(f"Request {request_id.decode('latin-1')!r} to model {model!r} was aborted.")
