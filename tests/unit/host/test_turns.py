import asyncio
import time

import pytest

from enginehouse.host.admission import Admission
from enginehouse.host.routing import Replica, Route, RoutingTable
from enginehouse.host.turns import LimitReached, Turns
from enginehouse.sdk import LaunchFailed, NotReady


class Door:
    """A routing table with one limited replica, used as the relay uses it."""

    def __init__(self, limit: int, length: int = 10, seconds: float = 10.0) -> None:
        self.turns = Turns(length, seconds)
        self.replica = Replica("a", 0, "/a", turns=self.turns)
        self.table = RoutingTable()
        self.table.put(Route("m", ("chat",), (self.replica,), limit=limit, turns=self.turns))
        self.admission = Admission(self.table, 10, asyncio.Event())

    async def enter(self) -> Replica:
        try:
            replica = self.table.pick("m", "chat")
        except LimitReached as full:
            replica = await self.admission.wait("m", "chat", (), full)
        replica.in_flight += 1
        return replica


async def waiting(door: Door, number: int) -> None:
    async with asyncio.timeout(5):
        while len(door.turns) != number:
            await asyncio.sleep(0)


async def test_beyond_the_limit_requests_wait_and_come_in_order() -> None:
    door, order = Door(limit=1), []
    first = await door.enter()

    async def ask(number: int) -> None:
        replica = await door.enter()
        order.append(number)
        await asyncio.sleep(0)
        assert replica.in_flight == 1
        replica.release()

    asking = [asyncio.create_task(ask(number)) for number in range(5)]
    await waiting(door, 5)
    first.release()
    with pytest.raises(LimitReached):
        door.table.pick("m", "chat")  # free, but others were first
    await asyncio.gather(*asking)
    assert order == [0, 1, 2, 3, 4] and door.replica.in_flight == 0 and len(door.turns) == 0


async def test_two_that_end_at_once_let_two_in() -> None:
    door = Door(limit=2)
    inside = [await door.enter(), await door.enter()]
    asking = [asyncio.create_task(door.enter()) for _ in range(3)]
    await waiting(door, 3)
    for replica in inside:
        replica.release()
    await waiting(door, 1)
    assert door.replica.in_flight == 2
    door.replica.release()
    await asyncio.wait_for(asyncio.gather(*asking), 5)


async def test_a_full_queue_refuses_with_the_words_that_clients_know() -> None:
    door = Door(limit=1, length=0)
    await door.enter()
    with pytest.raises(LimitReached, match="Request limit 1 for the model: m") as hit:
        await door.enter()
    assert hit.value.retry_after and hit.value.status == 429


async def test_a_limit_of_none_at_all_refuses_at_once() -> None:
    with pytest.raises(LimitReached):
        await Door(limit=0).enter()


async def test_a_wait_ends_and_leaves_no_place_taken() -> None:
    door = Door(limit=1, seconds=0.01)
    await door.enter()
    with pytest.raises(LimitReached):
        await door.enter()
    assert len(door.turns) == 0


async def test_one_that_leaves_the_queue_does_not_hold_up_the_next() -> None:
    door = Door(limit=1)
    inside = await door.enter()
    leaving, staying = asyncio.create_task(door.enter()), asyncio.create_task(door.enter())
    await waiting(door, 2)
    inside.release()
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    assert door.replica.in_flight == 1


async def test_a_new_replica_lets_those_in_who_wait() -> None:
    door = Door(limit=1)
    await door.enter()
    asking = asyncio.create_task(door.enter())
    await waiting(door, 1)
    more = Replica("b", 1, "/b", turns=door.turns)
    door.table.put(Route("m", ("chat",), (door.replica, more), limit=1, turns=door.turns))
    assert await asyncio.wait_for(asking, 5) is more


class Sleeper:
    """A route that is loaded when somebody asks."""

    def __init__(self, seconds: float = 10.0) -> None:
        self.demands = 0
        self.table = RoutingTable()
        self.admission = Admission(self.table, seconds, asyncio.Event())
        self.put()

    def put(self, *replicas: Replica, failure: str | None = None) -> None:
        self.table.put(Route("m", ("chat",), replicas, failure=failure, demand=self.demand))

    def demand(self) -> None:
        self.demands += 1

    async def enter(self) -> Replica:
        try:
            return self.table.pick("m", "chat")
        except NotReady as refusal:
            return await self.admission.wait("m", "chat", (), refusal)


async def test_requests_wait_for_their_model_to_be_loaded() -> None:
    sleeper = Sleeper()
    asking = [asyncio.create_task(sleeper.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    assert sleeper.demands == 3 and sleeper.table.awaited("m")
    sleeper.put()
    replica = Replica("a", 0, "/a")
    await asyncio.sleep(0)
    sleeper.put(replica)
    assert await asyncio.wait_for(asyncio.gather(*asking), 5) == [replica] * 3
    assert not sleeper.table.awaited("m")


async def test_those_who_wait_stay_when_the_model_is_pinned_meanwhile() -> None:
    sleeper = Sleeper()
    asking = asyncio.create_task(sleeper.enter())
    await asyncio.sleep(0)
    sleeper.table.put(Route("m", ("chat",)))  # nobody need ask for it any more: it is loading by itself
    for _ in range(20):  # turns of the loop, for who waits to look again
        await asyncio.sleep(0)
    assert not asking.done()
    replica = Replica("a", 0, "/a")
    sleeper.table.put(Route("m", ("chat",), (replica,)))
    assert await asyncio.wait_for(asking, 5) is replica and sleeper.demands == 1


async def test_they_do_not_wait_for_ever() -> None:
    sleeper = Sleeper(seconds=0.01)
    with pytest.raises(NotReady, match=r"not ready within 0\.01 s") as late:
        await sleeper.enter()
    assert late.value.retry_after and not sleeper.table.awaited("m")


async def test_a_load_that_fails_tells_those_who_wait() -> None:
    sleeper = Sleeper()
    asking = asyncio.create_task(sleeper.enter())
    await asyncio.sleep(0)
    sleeper.put(failure="no such disk.")
    with pytest.raises(LaunchFailed, match="no such disk"):
        await asyncio.wait_for(asking, 5)


async def test_the_end_of_a_request_is_remembered() -> None:
    replica = Replica("a", 0, "/a", in_flight=1, used=0.0)
    replica.release()
    assert replica.in_flight == 0 and time.monotonic() - replica.used < 5
