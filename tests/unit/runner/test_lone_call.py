"""An answer of one call: its generator runs in the writer's task, and behaves as one in a task of its own does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from enginehouse.runner.calls import BATCH, Ended
from enginehouse.runner.lone_call import LoneCall

LIMIT = 20.0  # seconds; only a call that hangs takes so long
Pieces = AsyncIterator[Any]


def run(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scenario(), LIMIT)

    return asyncio.run(bounded())


async def drained(call: LoneCall) -> list[list[object]]:
    """All batches until the call has ended."""
    batches: list[list[object]] = []
    while not batches or not any(isinstance(item, Ended) for item in batches[-1]):
        batches.append([item for _, item in await call.batch()])
    return batches


def test_pieces_that_are_ready_together_come_together_and_none_waits_for_the_next() -> None:
    gate = asyncio.Event()

    async def pieces(_: object) -> Pieces:
        for piece in ("a", "b", "c"):
            yield piece
        await gate.wait()
        yield "d"

    async def scenario() -> None:
        call = LoneCall(pieces, None)
        assert [item for _, item in await call.batch()] == ["a", "b", "c"]
        waiting = asyncio.ensure_future(call.batch())
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        assert [item for _, item in await waiting] == ["d", Ended(None)]
        await call.end()
        await call.close()

    run(scenario)


def test_a_generator_that_never_waits_lets_others_have_their_turn() -> None:
    async def pieces(_: object) -> Pieces:
        for number in range(10 * BATCH):
            yield number

    async def scenario() -> tuple[int, list[list[object]]]:
        turns = 0
        ended = False

        async def other() -> None:
            nonlocal turns
            while not ended:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        batches = await drained(LoneCall(pieces, None))
        ended = True
        await task
        return turns, batches

    turns, batches = run(scenario)
    assert [item for batch in batches for item in batch][:-1] == list(range(10 * BATCH))
    assert max(map(len, batches)) <= BATCH + 1
    assert turns >= 9


def test_a_slow_piece_holds_up_the_one_before_it_once_at_most() -> None:
    async def pieces(_: object) -> Pieces:
        for number in range(5):
            if number:
                time.sleep(0.01)  # computes, as an engine does that does not know of the event loop
            yield number

    batches = run(lambda: drained(LoneCall(pieces, None)))
    assert [len([item for item in batch if not isinstance(item, Ended)]) for batch in batches][1:4] == [1, 1, 1]


def test_what_the_engine_raises_comes_after_what_it_made() -> None:
    async def pieces(_: object) -> Pieces:
        yield "a"
        raise ZeroDivisionError("no")

    ((first, ended),) = run(lambda: drained(LoneCall(pieces, None)))
    assert first == "a"
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, ZeroDivisionError)


def test_a_time_limit_inside_the_engine_stays_the_engines() -> None:
    async def pieces(_: object) -> Pieces:
        yield "a"
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            yield "late"

    assert run(lambda: drained(LoneCall(pieces, None))) == [["a"], ["late", Ended(None)]]


def test_who_is_cancelled_while_it_waits_cancels_the_engine_there() -> None:
    seen: list[str] = []

    async def pieces(_: object) -> Pieces:
        yield "a"
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)  # giving back may wait, too
            seen.append("given back")
            raise

    async def scenario() -> None:
        call = LoneCall(pieces, None)
        await call.batch()
        waiting = asyncio.ensure_future(call.batch())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await call.close()

    run(scenario)
    assert seen == ["cancelled", "given back"]


def test_an_engine_that_takes_no_notice_of_being_cancelled_is_closed_all_the_same() -> None:
    seen: list[str] = []

    async def pieces(_: object) -> Pieces:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            yield "goes on"
        finally:
            seen.append("closed")

    async def scenario() -> None:
        call = LoneCall(pieces, None)
        waiting = asyncio.ensure_future(call.batch())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await call.close()

    run(scenario)
    assert seen == ["closed"]


@pytest.mark.parametrize("waits", [False, True], ids=["at a yield", "where it waits"])
def test_closing_stops_the_engine_wherever_it_is(waits: bool) -> None:
    seen: list[str] = []

    async def pieces(_: object) -> Pieces:
        try:
            for number in range(10**6):
                yield number
                if waits:
                    await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("left")

    async def scenario() -> None:
        call = LoneCall(pieces, None)
        await call.batch()
        await call.close()
        await call.close()

    run(scenario)
    assert seen == ["left"]


def test_a_call_that_has_said_its_last_comes_to_its_own_end_and_one_that_is_cut_does_not() -> None:
    seen: list[str] = []

    async def pieces(_: object) -> Pieces:
        yield "last"
        await asyncio.sleep(0)
        seen.append("its own end")

    async def scenario(stopped: bool) -> None:
        call = LoneCall(pieces, None)
        await call.batch()
        if stopped:
            call.stop(0)
        await call.end()
        await call.close()

    run(lambda: scenario(False))
    assert seen == ["its own end"]
    run(lambda: scenario(True))
    assert seen == ["its own end"]


def test_an_engine_that_never_leaves_is_left_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    over = False

    async def pieces(_: object) -> Pieces:
        yield "a"
        while not over:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def scenario() -> None:
        nonlocal over
        call = LoneCall(pieces, None, end_seconds=0.05, close_seconds=0.05)
        await call.batch()
        await call.end()
        await call.close()
        over = True

    run(scenario)
    assert "did not leave" in caplog.text


def test_what_an_engine_raises_when_it_is_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def pieces(_: object) -> Pieces:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            raise ValueError("cannot give back")

    async def scenario() -> None:
        call = LoneCall(pieces, None)
        await call.batch()
        await call.close()

    run(scenario)
    assert "cannot give back" in caplog.text
