"""Requests by their id: who can be aborted, and what is blocked for how long."""

import asyncio

import pytest

from enginehouse.sdk import Cancelled
from enginehouse.server.flights import MOST_BLOCKED, Flights


async def fly(flights: Flights, begun: asyncio.Event, request_id: bytes = b"id") -> str:
    flight = flights.begin("m", request_id)
    begun.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "aborted" if flight.ends_by_abort() else "cancelled"
    finally:
        flights.end(request_id, flight)
    return "ended"


async def start(flights: Flights) -> "asyncio.Task[str]":
    begun = asyncio.Event()
    task = asyncio.create_task(fly(flights, begun))
    await begun.wait()
    return task


async def test_an_abort_ends_one_request() -> None:
    flights = Flights()
    task = await start(flights)
    assert flights.abort("other", b"id", 0) == "NOT_FOUND"
    assert flights.abort("m", b"id", 0) == flights.abort("m", b"id", 0) == "DONE"
    assert await task == "aborted"
    assert flights.abort("m", b"id", 0) == "NOT_FOUND"


async def test_another_cancellation_is_no_abort() -> None:
    flights = Flights()
    task = await start(flights)
    task.cancel()
    assert await task == "cancelled"
    both = await start(flights)
    flights.abort("m", b"id", 0)
    both.cancel()
    assert await both == "cancelled"


async def test_of_two_with_one_id_the_later_is_aborted() -> None:
    flights = Flights()
    first, second = await start(flights), await start(flights)
    assert flights.abort("m", b"id", 0) == "DONE"
    assert await second == "aborted" and not first.done()
    first.cancel()
    assert await first == "cancelled"


def test_a_block_is_for_one_model_and_one_id() -> None:
    flights = Flights()
    flights.abort("m", b"id", 60)
    with pytest.raises(Cancelled, match="blocked for another"):
        flights.check("m", b"id")
    flights.check("m", b"other")
    flights.check("other", b"id")


def test_blocks_do_not_pile_up() -> None:
    flights = Flights()
    for number in range(3):
        flights.abort("m", b"%d" % number, 1e-9)
    flights.abort("m", b"last", 60)
    assert list(flights._blocked) == [("m", b"last")]
    flights._blocked.update({("m", b"%d" % number): float("inf") for number in range(MOST_BLOCKED)})
    flights.abort("m", b"one more", 60)
    assert len(flights._blocked) == MOST_BLOCKED and ("m", b"last") not in flights._blocked
