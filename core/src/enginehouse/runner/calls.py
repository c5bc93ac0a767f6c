"""Calls into an engine: results, coroutines and generators, sync or async, all become batches of items.

Every call runs by itself, an async one as a task, a sync one on a thread of its own, and puts what it
yields into one list; whoever writes the answer takes all that has gathered there. So pieces that are ready
together leave together, and none waits for another.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple

BATCH = 128  # items a call may be ahead of the writer: enough to amortise a write, little enough to hold
TURN_SECONDS = 0.002  # an async engine that never waits gives way this often, so that its pieces get out
STEP_SECONDS = 0.0005  # after a piece that took so long it gives way at once: the next may take as long again
END_SECONDS = 1.0  # after its last piece a generator has nothing left to do but to return
CLOSE_SECONDS = 30.0  # an engine that has not left a call by then is left to itself: it is stuck

ENGINE_THREAD = "engine"  # how the names of threads begin that run an engine's code

_log = logging.getLogger(__name__)

Method = Callable[[Any], Any]
Item = tuple[int, object]


class Ended(NamedTuple):
    """The last item of each call. error: what the engine raised."""

    error: Exception | None


def is_async(method: Method) -> bool:
    """Whether calling `method` is quick and belongs on the event loop."""
    return inspect.isasyncgenfunction(method) or inspect.iscoroutinefunction(method)


class Calls:
    """`method` called once for each of `requests`, all at the same time; items carry the request's index."""

    def __init__(self, method: Method, requests: Sequence[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: list[Item] = []
        self._waiter: asyncio.Future[None] | None = None
        self._room: list[asyncio.Future[None]] = []
        self._turn_ends = 0.0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._threads: dict[int, _ThreadCall] = {}
        for index, request in enumerate(requests):
            if is_async(method):
                self._tasks[index] = self._loop.create_task(self._run(index, method(request)))
            else:
                self._threads[index] = _ThreadCall(self, index, method, request)

    async def batch(self) -> list[Item]:
        """Waits for items; gives all there are, in order for each index."""
        while not (items := self._take()):
            self._waiter = self._loop.create_future()
            await self._waiter
        return items

    def stop(self, index: int) -> None:
        """Nothing more is wanted of this call: its generator is closed as soon as that is possible."""
        if task := self._tasks.get(index):
            task.cancel()
        if thread := self._threads.get(index):
            thread.stop()

    async def end(self) -> None:
        """Lets calls that have said their last come to their own end, for END_SECONDS."""
        await asyncio.sleep(0)
        await self._left(END_SECONDS)

    async def close(self) -> None:
        """Stops every call and waits until the engine has left it, at most CLOSE_SECONDS."""
        for index in (*self._tasks, *self._threads):
            self.stop(index)
        if stuck := await self._left(CLOSE_SECONDS):
            _log.error("The engine did not leave %d cancelled call(s) in %g s.", stuck, CLOSE_SECONDS)

    async def _left(self, seconds: float) -> int:
        """Waits until the engine has left all calls; how many it has not."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        threads = [self._loop.create_task(thread.left.wait()) for thread in self._threads.values() if thread.runs]
        waits: list[asyncio.Task[Any]] = [*tasks, *threads]
        if not waits:
            return 0
        try:
            _, stuck = await asyncio.wait(waits, timeout=seconds)
        finally:
            for wait in threads:
                wait.cancel()
        return len(stuck)

    def _take(self) -> list[Item]:
        items, self._items = self._items, []
        for thread in self._threads.values():
            items.extend(thread.take())
        for room in self._room:
            if not room.done():
                room.set_result(None)
        self._room.clear()
        return items

    def _put(self, item: Item) -> None:
        if not self._items:
            self._turn_ends = monotonic() + TURN_SECONDS
        self._items.append(item)
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def adopt(self, index: int, made: Any) -> None:
        """Goes on with a coroutine or async generator that a sync method returned."""
        self._threads[index].left.set()
        self._tasks[index] = self._loop.create_task(self._run(index, made))

    async def _run(self, index: int, made: Any) -> None:
        error: Exception | None = None
        try:
            if inspect.isawaitable(made):
                made = await made
            if isinstance(made, AsyncIterator):
                await self._iterate(index, made)
            elif isinstance(made, Iterator):
                self._threads[index] = _ThreadCall(self, index, lambda made: made, made)
                return  # the thread says when it ends
            else:
                self._put((index, made))
        except Exception as failure:  # noqa: BLE001 - the engine is foreign code; the answer tells what it raised
            error = failure
        self._put((index, Ended(error)))

    async def _iterate(self, index: int, pieces: AsyncIterator[Any]) -> None:
        step_began = 0.0  # so that the first piece always goes out before the second is asked for
        try:
            async for piece in pieces:
                self._put((index, piece))
                now = monotonic()
                if len(self._items) >= BATCH:
                    await self._wait_for_room()
                elif now - step_began > STEP_SECONDS or now > self._turn_ends:
                    await asyncio.sleep(0)
                    now = monotonic()
                step_began = now
        finally:
            if aclose := getattr(pieces, "aclose", None):
                await aclose()

    async def _wait_for_room(self) -> None:
        room = self._loop.create_future()
        self._room.append(room)
        await room


class _ThreadCall:
    """One sync call on a thread of its own. The thread is a daemon: a stuck engine cannot keep the process."""

    def __init__(self, calls: Calls, index: int, method: Method, request: Any) -> None:
        self.left = asyncio.Event()
        self._calls = calls
        self._loop = asyncio.get_running_loop()
        self._index = index
        self._pending: deque[Item] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        name = f"{ENGINE_THREAD} call {index}"
        threading.Thread(target=self._run, args=(method, request), name=name, daemon=True).start()

    @property
    def runs(self) -> bool:
        return not self.left.is_set()

    def take(self) -> list[Item]:
        if not self._pending:
            return []
        with self._changed:
            items = list(self._pending)
            self._pending.clear()
            self._changed.notify()
        return items

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self, method: Method, request: Any) -> None:
        error: Exception | None = None
        try:
            made = method(request)
            if inspect.isawaitable(made) or isinstance(made, AsyncIterator):
                self._post(self._calls.adopt, self._index, made)
                return
            if isinstance(made, Iterator):
                self._iterate(made)
            else:
                self._put(made)
        except Exception as failure:  # noqa: BLE001 - the engine is foreign code; the answer tells what it raised
            error = failure
        self._put(Ended(error))
        self._post(self.left.set)

    def _iterate(self, pieces: Iterator[Any]) -> None:
        try:
            for piece in pieces:
                if not self._put(piece):
                    return
        finally:
            if close := getattr(pieces, "close", None):
                close()

    def _put(self, item: object) -> bool:
        """Hands an item over, waiting while the writer is far behind. False when nobody wants more."""
        with self._changed:
            while len(self._pending) >= BATCH and not self._stopped:
                self._changed.wait()
            first = not self._pending
            self._pending.append((self._index, item))
        if first:
            self._post(self._calls.wake)
        return not self._stopped

    def _post(self, callback: Callable[..., object], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            self._stopped = True  # the loop has closed: the process is leaving
