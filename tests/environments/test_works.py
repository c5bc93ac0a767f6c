"""Works: one after the other, bounded, ended, and what becomes of those that fail."""

from __future__ import annotations

import asyncio

import pytest

from enginehouse.host.environments.works import AT_ONCE, WAITING, Tell, Works, WorkUnknown
from enginehouse.sdk import CannotRun, Overloaded, Step


async def over(works: Works, work_id: str):
    async with asyncio.timeout(10):
        while works.find(work_id).ended_ts is None:
            await asyncio.sleep(0.005)
    return works.find(work_id)


async def test_a_work_tells_its_steps_and_its_result() -> None:
    works, seen = Works(10), asyncio.Event()

    async def do(tell: Tell) -> dict[str, int]:
        tell(Step(phase="download", package="torch", done=1, total=2))
        await seen.wait()
        return {"a": 1}

    view = works.begin("build", "m", do)
    assert (view.state, view.result) == ("waiting", None)
    async with asyncio.timeout(10):
        while "torch" not in works.find(view.work_id).stage:
            await asyncio.sleep(0.005)
    assert 0 < works.find(view.work_id).progress < 1 and works.find(view.work_id).state == "running"
    seen.set()
    ended = await over(works, view.work_id)
    assert (ended.state, ended.result, ended.progress, ended.error) == ("done", {"a": 1}, 1.0, None)
    assert works.all() == [ended]


async def test_works_that_fail_say_why() -> None:
    works = Works(0.05)

    async def refuse(tell: Tell) -> None:
        raise CannotRun("There is no uv.")

    async def crash(tell: Tell) -> None:
        raise ValueError("odd")

    async def hang(tell: Tell) -> None:
        await asyncio.Event().wait()

    for do, words in ((refuse, "There is no uv."), (crash, "ValueError: odd"), (hang, "within 0.05 s")):
        ended = await over(works, works.begin("lock", "m", do).work_id)
        assert ended.state == "failed" and words in (ended.error or {})["message"]


async def test_works_are_ended_and_there_are_not_too_many() -> None:
    works, left = Works(10), []

    async def hang(tell: Tell) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append(1)

    begun = [works.begin("build", str(number), hang).work_id for number in range(AT_ONCE + WAITING)]
    with pytest.raises(Overloaded):
        works.begin("build", "more", hang)
    async with asyncio.timeout(10):
        while works.find(begun[AT_ONCE - 1]).state != "running":
            await asyncio.sleep(0.005)
    assert [works.find(one).state for one in begun[AT_ONCE:]] == ["waiting"] * WAITING
    assert (await works.cancel(begun[0])).state == "cancelled" and left == [1]
    assert (await works.cancel(begun[0])).state == "cancelled"
    await works.close()
    assert {works.find(one).state for one in begun} == {"cancelled"}
    with pytest.raises(WorkUnknown):
        works.find("nothing")
