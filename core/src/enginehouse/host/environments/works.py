"""What takes long and is nobody's launch: environments that are locked, built, verified or packed, one task each."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from ...sdk import EnginehouseError, Overloaded, Step
from ...sdk.credentials import hide_credentials
from .telling import share_of, tell_step

KEPT = 100  # works that are over and can still be asked for
AT_ONCE = 2  # each is a resolver or a disk at full speed
WAITING = 20  # works that may wait for their turn
END_SECONDS = 15.0  # for works that are cancelled to take away what they made

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Tell = Callable[[Step], None]

logger = logging.getLogger(__name__)


class WorkUnknown(EnginehouseError):
    """There is no such work, or it is over for long."""

    status, code, kind = 404, "work_not_found", "invalid_request_error"


class WorkView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a work is. act: "lock", "build", ...; about: whose environment. progress: 0 to 1; result: what it came
    to, once it is done. Times in seconds since 1970."""

    work_id: str
    act: str
    about: str
    state: State
    stage: str
    progress: float
    started_ts: float
    ended_ts: float | None = None
    result: Any = None
    error: dict[str, Any] | None = None


class Works:
    """All works of this server. `seconds` bounds each of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._views: dict[str, WorkView] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, act: str, about: str, do: Callable[[Tell], Awaitable[Any]]) -> WorkView:
        """Begins a work as soon as it is its turn. `do` gets whom to tell of its steps. Raises Overloaded."""
        if len(self._tasks) >= AT_ONCE + WAITING:
            raise Overloaded(f"{len(self._tasks)} environments are being worked on; try again later.", retry_after=30)
        work_id = secrets.token_hex(6)
        view = WorkView(
            work_id=work_id,
            act=act,
            about=about,
            state="waiting",
            stage="waiting",
            progress=0.0,
            started_ts=time.time(),
        )
        self._views[work_id] = view
        for old in [one for one in self._views if one not in self._tasks and one != work_id][:-KEPT]:
            del self._views[old]
        task = asyncio.create_task(self._run(work_id, do), name=f"{act} {about}")
        self._tasks[work_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(work_id, None))
        return view

    def all(self) -> list[WorkView]:
        """The newest last."""
        return list(self._views.values())

    def find(self, work_id: str) -> WorkView:
        """Raises WorkUnknown."""
        if work_id not in self._views:
            raise WorkUnknown(f"There is no work {work_id!r}, or it ended long ago.", param="work_id")
        return self._views[work_id]

    async def cancel(self, work_id: str) -> WorkView:
        """Ends a work; what it made so far is taken away. Raises WorkUnknown."""
        self.find(work_id)
        task = self._tasks.get(work_id)
        if task:
            task.cancel()
            await asyncio.wait({task}, timeout=END_SECONDS)
        return self.find(work_id)

    async def close(self) -> None:
        """Ends all of them."""
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_SECONDS)

    async def _run(self, work_id: str, do: Callable[[Tell], Awaitable[Any]]) -> None:
        def tell(step: Step) -> None:
            self._change(work_id, stage=tell_step(step), progress=round(share_of(step), 4))

        try:
            async with self._turns, asyncio.timeout(self._seconds):
                self._change(work_id, state="running", stage="running")
                result = msgspec.to_builtins(await do(tell))
            self._end(work_id, "done", progress=1.0, result=result)
        except asyncio.CancelledError:
            self._end(work_id, "cancelled")
        except TimeoutError:
            self._fail(work_id, "launch_failed", f"It was not done within {self._seconds:g} s, so that was ended.")
        except EnginehouseError as error:
            self._fail(work_id, error.code, error.message)
        except Exception as error:  # a provisioner is foreign code, and a disk may fail anywhere
            logger.exception("work on environments failed")
            self._fail(work_id, "internal_error", f"{type(error).__name__}: {error}")

    def _fail(self, work_id: str, code: str, message: str) -> None:
        self._end(work_id, "failed", error={"code": code, "message": hide_credentials(message)})

    def _end(self, work_id: str, state: State, **fields: Any) -> None:
        self._change(work_id, state=state, stage=state, ended_ts=time.time(), **fields)

    def _change(self, work_id: str, **fields: Any) -> None:
        self._views[work_id] = msgspec.structs.replace(self._views[work_id], **fields)
