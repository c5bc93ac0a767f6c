"""Threads that compute. On a CPU one for each core, each with a batch of its own while there is enough for all:
two batches on a core each are done sooner than one after the other on both, and do not wait for each other."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import NamedTuple

import torch

from enginehouse.sdk import EngineFailed, EnginehouseError, Overloaded

from .model import Result
from .queueing import Item, Queue
from .words import Tokens

LEAST = 128  # tokens below which a batch is not shared out among lanes: smaller ones cost up to four times as much each
LINGER_SECONDS = 0.002  # for callers that were just answered to ask again; only while another lane computes anyway
RETRY_SECONDS = 1
Compute = Callable[[Sequence[Tokens], Hashable], list[Result]]

_log = logging.getLogger(__name__)


class Portion:
    """Some inputs of one caller on their way. done: resolves to all their results, in order."""

    def __init__(self, caller: object, count: int) -> None:
        self.caller = caller
        self.done: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._results: list[Result | None] = [None] * count
        self._left = count

    def put(self, place: int, result: Result) -> None:
        self._results[place] = result
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result([each for each in self._results if each is not None])

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Width(NamedTuple):
    """lanes: threads of ours. cores: that all of them together may use; 0 leaves that to PyTorch.

    small: tokens of a batch that keeps to one core though others are idle.
    """

    lanes: int
    cores: int
    small: int = 0


class Lanes:
    """Computes what is submitted. budget: tokens of one batch. after: called after each batch, on its thread."""

    def __init__(self, compute: Compute, budget: int, width: Width, most_waiting: int, after: Callable[[], None]):
        self._compute = compute
        self._budget = budget
        self._width = width
        self._most_waiting = most_waiting
        self._after = after
        self._queue = Queue()
        self._lock = threading.Lock()
        self._doors = [threading.Condition(self._lock) for _ in range(width.lanes)]
        self._idle: set[int] = set()
        self._busy = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"compute {number}", daemon=True)
            for number in range(width.lanes)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, caller: object, sequences: Sequence[Tokens], kind: Hashable) -> Portion:
        """Queues them. Called on the event loop."""
        portion = Portion(caller, len(sequences))
        items = [
            Item(tokens, (kind, tokens.prompt, tokens.raw is None), portion, place)
            for place, tokens in enumerate(sequences)
        ]
        with self._lock:
            self._queue.add(caller, items)
            self._wake(len(items))
        return portion

    def admit(self) -> None:
        """Raises Overloaded while too much waits."""
        if self._queue.tokens >= self._most_waiting:
            raise Overloaded(
                f"{self._queue.tokens} tokens wait to be computed already; try again, or send less at a time.",
                retry_after=RETRY_SECONDS,
            )

    def forget(self, caller: object) -> None:
        """Drops what still waits for a caller that is gone."""
        with self._lock:
            self._queue.forget(caller)

    def close(self, seconds: float) -> None:
        """Ends the threads, at the latest after so long each."""
        with self._lock:
            self._closing = True
            self._wake(self._width.lanes)
        for thread in self._threads:
            thread.join(seconds)

    def _run(self, number: int) -> None:
        while batch := self._next(number):
            try:
                self._settle(batch)
                self._after()
            finally:
                with self._lock:
                    self._busy -= 1

    def _next(self, number: int) -> list[Item]:
        with self._lock:
            while not self._closing:
                self._linger(number)
                if batch := self._queue.take(self._share()):
                    self._busy += 1
                    self._use_cores(sum(item.length for item in batch))
                    return batch
                self._wait(number, None)
        return []

    def _linger(self, number: int) -> None:
        """Lets a batch gather that would be too small, where that keeps no core idle for long and no one alone."""
        until = monotonic() + LINGER_SECONDS
        while self._busy and 0 < self._queue.tokens < LEAST and not self._closing:
            left = until - monotonic()
            if left <= 0:
                return
            self._wait(number, left)

    def _wake(self, most: int) -> None:
        """Always the first of the idle lanes: a thread that computed just now has its helpers and caches at hand."""
        for number in sorted(self._idle)[:most]:
            self._idle.discard(number)
            self._doors[number].notify()

    def _wait(self, number: int, seconds: float | None) -> None:
        self._idle.add(number)
        self._doors[number].wait(seconds)
        self._idle.discard(number)

    def _share(self) -> int:
        """Tokens for this lane: what waits, shared out among those that are idle."""
        idle = self._width.lanes - self._busy
        return min(self._budget, max(LEAST, -(-self._queue.tokens // max(idle, 1))))

    def _use_cores(self, tokens: int) -> None:
        """All cores for a batch that is alone, unless it is small; else each its part."""
        if not self._width.cores:
            return
        running = self._width.lanes if self._queue else self._busy
        wanted = 1 if tokens <= self._width.small else max(1, self._width.cores // running)
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)

    def _settle(self, batch: Sequence[Item]) -> None:
        """Computes a batch; where that fails each caller's part by itself, so that the fault stays with its caller."""
        try:
            results = self._compute([item.tokens for item in batch], batch[0].kind[0])
        except Exception as error:  # noqa: BLE001 - foreign code computes; whoever waits is told what it raised
            parts = _by_owner(batch)
            if len(parts) > 1:
                for part in parts:
                    self._settle(part)
                return
            _log.warning("A batch of %d sequences failed.", len(batch), exc_info=True)
            failure = _as_failure(error)
            _tell(batch, lambda item, place: item.owner.fail(failure))
            return
        _tell(batch, lambda item, place: item.owner.put(item.place, results[place]))


def _tell(batch: Sequence[Item], tell: Callable[[Item, int], None]) -> None:
    def all_of_them() -> None:
        for place, item in enumerate(batch):
            tell(item, place)

    portion = batch[0].owner
    assert isinstance(portion, Portion)
    try:
        portion.done.get_loop().call_soon_threadsafe(all_of_them)
    except RuntimeError:
        _log.debug("A batch was done after the loop had closed.")


def _by_owner(batch: Sequence[Item]) -> list[list[Item]]:
    parts: dict[int, list[Item]] = {}
    for item in batch:
        parts.setdefault(id(item.owner), []).append(item)
    return list(parts.values())


def _as_failure(error: Exception) -> Exception:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return Overloaded(
            "There is not enough memory to compute this now; send less at a time, or launch with a smaller "
            "max_batch_tokens.",
            retry_after=RETRY_SECONDS,
        )
    if isinstance(error, EnginehouseError):
        return error
    return EngineFailed(f"The model failed on this input: {type(error).__name__}: {error}. See the worker's log.")


def cores_of(threads: int) -> int:
    """Cores that this process may compute on."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads or allowed
