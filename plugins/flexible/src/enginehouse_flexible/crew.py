"""Who does the jobs: as many threads at a time as the model allows, each job within its time, the process within its
memory. What a process cannot mend in itself, a call that never returns, ends the worker; the host starts another."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

from enginehouse.sdk import EngineFailed, WorkerLost

from .footprint import used_megabytes
from .jobs import Job
from .values import as_json, json_event

RETRY_SECONDS = 2  # a fresh worker takes about so long, more with a large model
THREAD = "engine infer"  # begins as the runner's own do: a process with one of these inside leaves at once


class Limits(NamedTuple):
    """infer_seconds: of one call, or between two values of a stream. memory_limit_mb: MiB of the process."""

    infer_seconds: float
    memory_limit_mb: int | None


class TimedOut(EngineFailed):
    """A model did not answer within its time."""

    status, code = 504, "infer_timed_out"


class Crew:
    """Takes jobs on the event loop. leave: ends the worker with a reason."""

    def __init__(self, model: Any, launcher: str, limits: Limits, leave: Callable[[str], None]) -> None:
        self._model = model
        self._launcher = launcher
        self._limits = limits
        self._leave = leave
        self._concurrency = max(int(getattr(model, "concurrency", 1) or 1), 1)
        self._batch_size = max(int(getattr(model, "batch_size", 0) or 0), 1)
        self._waiting: deque[Job] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._leaving: str | None = None

    def take(self, job: Job) -> None:
        """Begins with the job, or lets it wait for its turn. Raises WorkerLost when the worker is on its way out."""
        if self._leaving:
            raise self._lost()
        self._waiting.append(job)
        if len(self._lanes) < self._concurrency:
            lane = asyncio.get_running_loop().create_task(self._work())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _work(self) -> None:
        """One lane: does what waits until nothing does."""
        while not self._leaving and (jobs := self._next()):
            shift = Shift(self._model, self._launcher, jobs)
            if not await shift.ends(self._limits.infer_seconds):
                self._give_up(jobs)
            elif (used := self._over_limit()) is not None:
                self._go(f"It took {used} MiB, more than its memory_limit_mb of {self._limits.memory_limit_mb}.")

    def _next(self) -> list[Job]:
        """The jobs to do together: those of callers that are still there, streams alone."""
        jobs: list[Job] = []
        while self._waiting and len(jobs) < self._batch_size:
            if self._waiting[0].gone:
                self._waiting.popleft()
            elif jobs and self._waiting[0].stream:
                break
            else:
                jobs.append(self._waiting.popleft())
                if jobs[-1].stream:
                    break
        return jobs

    def _give_up(self, jobs: Sequence[Job]) -> None:
        reason = (
            f"infer of launcher {self._launcher} did not answer within {self._limits.infer_seconds:g} s "
            "(infer_seconds of the launch)"
        )
        for job in jobs:
            job.end(TimedOut(f"{reason}; its worker is replaced."))
        self._go(f"{reason}.")

    def _over_limit(self) -> int | None:
        """MiB that the process takes, when that is more than it may."""
        limit = self._limits.memory_limit_mb
        used = used_megabytes() if limit else 0
        return used if limit and used > limit else None

    def _go(self, reason: str) -> None:
        self._leaving = reason
        self._leave(reason)
        for job in self._waiting:
            job.end(self._lost())
        self._waiting.clear()

    def _lost(self) -> WorkerLost:
        return WorkerLost(
            f"This model's worker is being replaced: {self._leaving} Try again.", retry_after=RETRY_SECONDS
        )


class Shift:
    """The calls that one thread makes. Its thread is a daemon: one that is stuck cannot keep the process."""

    def __init__(self, model: Any, launcher: str, jobs: Sequence[Job]) -> None:
        self._model = model
        self._launcher = launcher
        self._jobs = jobs
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._left = asyncio.Event()
        self._moved = monotonic()
        self._is_held_up = False  # by a caller that reads slowly, which is no fault of the model
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()

    async def ends(self, seconds: float) -> bool:
        """Waits for the end. False when nothing moved for so many seconds."""
        while not self._left.is_set():
            rest = seconds if self._is_held_up else self._moved + seconds - monotonic()
            if rest <= 0:
                return False
            try:
                async with asyncio.timeout(rest):
                    await self._left.wait()
            except TimeoutError:
                continue
        return True

    def _run(self) -> None:
        try:
            for job, error in self._do():
                job.end(error)
        finally:
            if os.getpid() != self._process:
                os._exit(0)  # the model forked and came back twice: this is the copy, which nobody waits for
            with suppress(RuntimeError):  # the loop has closed: the process is leaving
                self._loop.call_soon_threadsafe(self._left.set)

    def _do(self) -> Iterator[tuple[Job, Exception | None]]:
        """Each job with the error that it ends with."""
        if len(self._jobs) == 1:
            yield self._jobs[0], self._guarded(lambda: self._one(self._jobs[0]))
            return
        error = self._guarded(self._together)
        yield from ((job, error) for job in self._jobs)

    def _one(self, job: Job) -> None:
        result = settled(self._model.infer(*job.call.args, **job.call.kwargs))
        self._stay()
        if not isinstance(result, Iterator):
            self._hand(job, result)
            return
        try:
            if not job.stream:
                job.put(as_json(list(self._noticed(result))))
                return
            for value in result:
                if not self._hand(job, value):
                    return
        finally:
            if close := getattr(result, "close", None):
                close()

    def _together(self) -> None:
        results = settled(self._model.infer_batch([job.call for job in self._jobs]))
        self._stay()
        if len(results) != len(self._jobs):
            raise EngineFailed(
                f"infer_batch of launcher {self._launcher} gave {len(results)} results for {len(self._jobs)} calls."
            )
        for job, result in zip(self._jobs, results, strict=True):
            if isinstance(result, Exception):
                job.end(as_failure(result, self._launcher))
            elif error := self._guarded(lambda job=job, result=result: self._hand(job, result)):  # type: ignore[misc]
                job.end(error)

    def _noticed(self, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self._moved = monotonic()
            yield value

    def _hand(self, job: Job, value: Any) -> bool:
        self._moved = monotonic()
        item = json_event(value) if job.stream else as_json(value)
        self._is_held_up = True
        try:
            return job.put(item)
        finally:
            self._moved, self._is_held_up = monotonic(), False

    def _stay(self) -> None:
        """Nothing of a copy of this process may answer."""
        if os.getpid() != self._process:
            os._exit(0)

    def _guarded(self, step: Callable[[], Any]) -> Exception | None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - the model is foreign code, and may even leave
            return as_failure(error, self._launcher)
        return None


def settled(made: Any) -> Any:
    """What a coroutine comes to, in a loop of its own: a model's methods may be `async`. Anything else as it is."""
    return asyncio.run(made) if inspect.iscoroutine(made) else made


def as_failure(error: BaseException, launcher: str) -> Exception:
    """What a caller is told of what a model raised."""
    if isinstance(error, SystemExit):
        return EngineFailed(f"infer of launcher {launcher} called sys.exit({error.code!r}). A model may not leave.")
    if isinstance(error, Exception):
        return error
    return EngineFailed(f"infer of launcher {launcher} raised {type(error).__name__}: {error}.")
