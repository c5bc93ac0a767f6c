"""One call of an async generator, run by the task that writes its answer.

`Calls` has a task for each call, and a token then wakes two tasks, one of them twice. Where an answer is one call, its
generator is driven by whoever asks for its items instead: a token wakes one task once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from time import monotonic
from typing import Any

from .calls import BATCH, CLOSE_SECONDS, END_SECONDS, STEP_SECONDS, TURN_SECONDS, Ended, Item

_log = logging.getLogger(__name__)


class LoneCall:
    """`method` called once; items carry the index 0. Has the methods of `Calls`.

    A batch is what the generator yielded before it had to wait for something. So pieces that are ready together leave
    together, and none waits for the next.
    """

    def __init__(
        self,
        method: Callable[[Any], AsyncIterator[Any]],
        request: Any,
        end_seconds: float = END_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._pieces = method(request)
        self._end_seconds = end_seconds
        self._close_seconds = close_seconds
        self._step: _Step | None = None
        self._closing: asyncio.Task[None] | None = None
        self._gives_way = False  # it has not waited for anything, so nobody else has had a turn
        self._goes_on = True  # after a piece it is asked for the next at once
        self._stopped = False
        self._left = False

    async def batch(self) -> list[Item]:
        """Waits for items; gives all there are, in order."""
        if self._gives_way:
            await asyncio.sleep(0)
        items: list[Item] = []
        turn_ends = 0.0
        while not self._left:
            step = self._step or self._next()
            if items and not step.begin():
                self._gives_way = False
                return items
            try:
                items.append((0, await step))
            except StopAsyncIteration:
                self._left = True
                break
            except Exception as failure:  # noqa: BLE001 - the engine is foreign code; the answer tells what it raised
                self._left = True
                return [*items, (0, Ended(failure))]
            finally:
                self._step = None
            turn_ends = turn_ends or monotonic() + TURN_SECONDS
            if self._is_due(step, items, turn_ends):
                return items
        return [*items, (0, Ended(None))]

    def stop(self, index: int) -> None:
        """Nothing more is wanted: `end` cuts it."""
        self._stopped = True

    async def end(self) -> None:
        """Lets a call that has said its last come to its own end, for `end_seconds`."""
        if not await self._left_within(self._end_seconds, cut=self._stopped):
            await self.close()

    async def close(self) -> None:
        """Stops the call and waits until the engine has left it, at most `close_seconds`."""
        if not await self._left_within(self._close_seconds, cut=True):
            _log.error("The engine did not leave a cancelled call in %g s.", self._close_seconds)
            self._left = True

    def _next(self) -> _Step:
        self._step = _Step(self._pieces.__anext__())
        return self._step

    def _is_due(self, step: _Step, items: list[Item], turn_ends: float) -> bool:
        """Whether what there is must not wait for what comes at once: that may take long, or never end."""
        if step.seconds > STEP_SECONDS and len(items) > 1:
            self._goes_on = False  # it held up what came before it
        due = len(items) >= BATCH or step.seconds > STEP_SECONDS or monotonic() > turn_ends or not self._goes_on
        self._gives_way = due and not step.waited
        return due

    async def _left_within(self, seconds: float, *, cut: bool) -> bool:
        """Whether the engine left the call in time."""
        if self._left:
            return True
        if self._closing is not None:
            self._closing.cancel()
        else:
            leaving = _Step(self._leave(cut))
            if leaving.begin():
                await leaving
                return True
            self._closing = asyncio.ensure_future(_finish(leaving))
        _, stuck = await asyncio.wait([self._closing], timeout=seconds)
        return not stuck

    async def _leave(self, cut: bool) -> None:
        """What the engine raises is logged: its answer is complete, or unwanted."""
        try:
            await (self._to_a_stop() if cut else self._to_its_end())
        except (asyncio.CancelledError, StopAsyncIteration):
            pass  # as it was told
        except Exception:  # noqa: BLE001 - the engine is foreign code, and nobody waits for it any more
            _log.warning("The engine raised when its call was closed.", exc_info=True)
        self._left = True

    async def _to_its_end(self) -> None:
        while True:
            await (self._step or self._next())
            self._step = None

    async def _to_a_stop(self) -> None:
        step, self._step = self._step, None
        if step is not None:
            await step.cut()
        if aclose := getattr(self._pieces, "aclose", None):
            await aclose()


class _Step:
    """Something to await that may have begun before. waited: it had to wait for something; seconds: that it last ran
    without waiting.
    """

    __slots__ = ("_error", "_has_ended", "_run", "_told", "_value", "_waits_for", "seconds", "waited")

    def __init__(self, made: Awaitable[Any]) -> None:
        self._run: Any = made.__await__()
        self._waits_for: Any = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._has_ended = False
        self._told = False  # to stop
        self.waited = False
        self.seconds = -1.0

    def begin(self) -> bool:
        """Runs it until it ends or has to wait for something. Whether it has ended."""
        if self.seconds < 0:
            self._advance(self._run.send, None)
        return self._has_ended

    def __await__(self) -> Generator[Any, Any, Any]:
        self.begin()
        while not self._has_ended:
            self.waited = True
            try:
                sent = yield self._waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who waits inside
                self._told = self._told or isinstance(error, asyncio.CancelledError)
                self._advance(self._run.throw, error)
            else:
                self._advance(self._run.send, sent)
        if self._told and _is_cancelled():
            raise asyncio.CancelledError  # also where the engine took no notice
        if self._error is not None:
            raise self._error
        return self._value

    async def cut(self) -> None:
        """Stops it where it waits. Raises CancelledError, or what it raises then."""
        if not self._has_ended:
            self._advance(self._run.throw, asyncio.CancelledError())
            await self

    def _advance(self, go: Callable[[Any], Any], value: Any) -> None:
        began = monotonic()
        try:
            self._waits_for = go(value)
        except StopIteration as ended:
            self._value, self._has_ended = ended.value, True
        except BaseException as error:  # noqa: BLE001 - raised again where this is awaited
            self._error, self._has_ended = error, True
        self.seconds = monotonic() - began


def _is_cancelled() -> bool:
    """Whether this task is, and not only told to by a time limit inside it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _finish(step: _Step) -> None:
    await step
