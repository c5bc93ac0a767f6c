"""What happens to a deployment while something else of it waits for planning, or for room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from enginehouse.host.ground import Ground
from enginehouse.host.idleness import Idleness
from enginehouse.host.launch_request import LaunchRequest
from enginehouse.host.loads import Loads
from enginehouse.host.orders import Assignment
from enginehouse.host.planning import Plan
from enginehouse.host.publishing import publish, take_stock
from enginehouse.host.relaunching import relaunch
from enginehouse.host.renewal import renew
from enginehouse.host.replica import Surroundings
from enginehouse.host.rooms import Rooms
from enginehouse.host.routing import Replica, RoutingTable
from enginehouse.host.settings import Settings
from enginehouse.host.standing import Standing
from enginehouse.host.store import Declared, open_store
from enginehouse.sdk import EnvironmentNeed, NotReady

NOTHING: Any = None  # in the place of what is not looked at
REQUEST = LaunchRequest(model_name="m", keep_alive=600.0)
PLAN = Plan(
    request=REQUEST,
    family=NOTHING,
    variant=NOTHING,
    engine="fake",
    reason="",
    tasks=("completions",),
    source="",
    environment=EnvironmentNeed(engine="fake"),
)


class Worker:
    """One that sleeps, and whose processes nobody knows."""

    pid = None


async def no_nodes() -> tuple[Any, ...]:
    return ()


async def plan(_: LaunchRequest) -> Plan:
    await asyncio.sleep(0)  # somebody else's turn
    return PLAN


@pytest.fixture
async def standing(tmp_path: Path) -> AsyncIterator[Standing]:
    """Of a model that was ready once. There is room for one byte; one replica takes two."""
    settings = Settings(home=tmp_path, memory_bytes=1)
    store = await open_store(f"sqlite:///{tmp_path / 'state.db'}")
    rooms = Rooms(settings, no_nodes)
    ground = Ground(settings, NOTHING, NOTHING, store, RoutingTable(), asyncio.Semaphore(0), plan, rooms)
    standing = Standing(Declared(uid="m", request=REQUEST, was_ready=True, footprint_bytes=2), ground, PLAN)
    standing.settled.set()
    publish(standing)
    yield standing
    await standing.crew.end()
    await standing.diary.close()
    await store.close()


def surroundings(standing: Standing) -> Surroundings:
    """Where a replica waits for its turn to load, which does not come."""
    ground = standing.ground
    return Surroundings(
        census=NOTHING,
        clusters=NOTHING,
        settings=ground.settings,
        loading=ground.loading,
        note=standing.diary.note,
        changed=lambda: take_stock(standing),
        loads=Loads(),
        kept=lambda: None,
        keep=NOTHING,
    )


def begin(standing: Standing) -> Any:
    assignment = Assignment(model_uid="m", replica_id=0, created_ts=0.0, plan=PLAN)
    standing.crew.begin(assignment, surroundings(standing), None, was_ready=True)
    return standing.crew.replicas[0]


@pytest.mark.parametrize("again", [lambda *each: renew(*each, "why"), lambda *each: relaunch(*each, REQUEST)])
async def test_what_is_ended_while_it_is_planned_anew_leaves_no_route(
    standing: Standing, again: Callable[..., Awaitable[None]]
) -> None:
    begin(standing)
    again_it_is = asyncio.create_task(again(standing, lambda _: surroundings(standing)))
    await asyncio.sleep(0)
    assert standing.changing.locked()
    standing.stopping = standing.closed = True
    standing.ground.routing.drop("m")
    with pytest.raises(NotReady, match="terminating"):
        await again_it_is
    take_stock(standing)
    assert standing.ground.routing.get("m") is None


@pytest.mark.parametrize("taken_away", [True, False])
async def test_one_without_room_to_wake_may_be_taken_away_meanwhile(standing: Standing, taken_away: bool) -> None:
    life = begin(standing)
    life.sleeps = life.shall_sleep = True
    life.worker = Worker()
    rousing = asyncio.create_task(Idleness(standing).rouse())
    await asyncio.sleep(0)  # it waits for a measure by now
    life.worker = None
    assert not rousing.done()
    if taken_away:
        standing.crew.retire(0, 0)
    await rousing
    assert not standing.crew
    told = any("cannot wake" in event.text for event in standing.diary.events)
    assert told is not taken_away, "that it cannot wake is told of one that is still there"


@pytest.mark.parametrize("changed", [True, False])
async def test_while_it_is_changed_it_neither_falls_idle_nor_gives_way(standing: Standing, changed: bool) -> None:
    route = begin(standing).route = Replica("w", 0, "/nowhere", used=-1000.0)
    idleness = Idleness(standing)
    if changed:
        await standing.changing.acquire()
    due = idleness.due()
    assert due is not None and (due > 0) is changed
    route.used = time.monotonic()
    wish = asyncio.create_task(idleness.evict("for another"))
    await asyncio.sleep(0)
    await idleness.attend()
    assert await wish is not changed and bool(standing.crew) is changed
