"""Where one deployment stands: what was declared of it, the replicas there are, and what follows from both."""

from __future__ import annotations

import asyncio
from typing import Literal

from ..sdk import EnginehouseError
from .crew import Crew
from .declaration import Declaration
from .diary import Diary
from .ground import Ground
from .planning import Plan
from .promises import Promises
from .store import Declared
from .turns import turns_for
from .views import Status


class Standing:
    """What the parts of one deployment share; all of them run on one event loop.

    loaded: whether it shall be in memory. refused: why it could not be loaded when it was last asked for.
    given_up: replicas that will not be tried again. added: those that were added and have yet to be ready.
    settled: set when ready, failed or stopped, which is what a waiting caller wants to know.
    leaving: whether what ends leaves its workers to a later server.
    woken: set when the deployment's task has something to do. changing: held while what is declared is changed.
    closed: it has left the routing table for good.
    """

    def __init__(self, declared: Declared, ground: Ground, plan: Plan | None) -> None:
        self.uid = declared.uid
        self.ground = ground
        self.plan = plan
        self.error = declared.error
        self.declaration = Declaration(declared, ground.store)
        self.diary = Diary(declared.uid, ground.store)
        self.crew = Crew()
        self.turns = turns_for(declared.request, ground.settings)
        self.loaded = not declared.request.on_demand
        self.refused: EnginehouseError | None = None
        self.given_up: set[int] = set()
        self.added = Promises()
        self.was_ready = declared.was_ready
        self.settled = asyncio.Event()
        self.woken = asyncio.Event()
        self.changing = asyncio.Lock()
        self.stopping = False
        self.closed = False
        self.leaving = False

    @property
    def declared(self) -> Declared:
        return self.declaration.value

    @property
    def wanted(self) -> set[int]:
        """Ids of the replicas that shall run and are not given up."""
        return self.declaration.wanted - self.given_up

    @property
    def in_use(self) -> bool:
        """Whether requests are answered, or wait for it."""
        return self.ground.routing.awaited(self.uid) or any(route.in_flight for route in self.crew.routes())

    @property
    def asleep(self) -> bool:
        """Whether it lies idle and its workers live on without their devices' memory, or are about to."""
        return not self.loaded and bool(self.crew)

    @property
    def launching(self) -> bool:
        """Whether it has yet to become ready for the first time."""
        return not self.settled.is_set()

    @property
    def failed(self) -> bool:
        return self.status == "ERROR"

    @property
    def status(self) -> Status:
        if self.stopping:
            return "TERMINATING"
        if not self.loaded:
            return "ASLEEP" if self.asleep else "UNLOADED"
        statuses: list[Status] = [life.status for life in self.crew.replicas]
        for status in ("READY", "LOADING", "RESTARTING", "CREATING"):
            if status in statuses and not (status == "READY" and self.launching):
                return status
        return "ERROR" if self.error and not statuses else "LOADING"

    @property
    def grip(self) -> Literal["idle", "in use", "pinned", "loading"]:
        """How firmly it holds its memory; only what is idle gives way."""
        if self.asleep:
            return "idle"
        if self.declared.request.keep_alive is None:
            return "pinned"
        if not self.loaded or len(self.crew.routes()) < len(self.crew) or self.wanted != self.crew.ids:
            return "loading"
        return "in use" if self.in_use or self.changing.locked() else "idle"

    def demand(self) -> None:
        """A request came: it is loaded, unless that has begun."""
        if not self.loaded and not self.stopping:
            self.loaded = True
            self.diary.tell("INFO", f"{'Waking' if self.crew else 'Loading'}, because a request came.")
            self.woken.set()
