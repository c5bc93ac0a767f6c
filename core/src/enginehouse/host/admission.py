"""Requests that no replica can take at this moment: they wait for a turn, or for their model to be loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from ..sdk import EnginehouseError, NotReady
from .routing import RETRY_AFTER_SECONDS, Replica, Route, RoutingTable
from .turns import LimitReached


class Admission:
    """The slow way into a model.

    demand_seconds: so long a request waits for its model to be loaded. stopping: set when the server begins to
    leave; from then on nobody waits for a load.
    """

    def __init__(self, routing: RoutingTable, demand_seconds: float, stopping: asyncio.Event) -> None:
        self._routing = routing
        self._stopping = stopping
        self._demand_seconds = demand_seconds

    async def wait(self, model: str, task: str, tried: Collection[str], refusal: NotReady | LimitReached) -> Replica:
        """The replica for a request that was refused at first. The caller counts it in the same breath.

        Raises `refusal`, or another of its kind, where waiting does not help or lasted too long.
        """
        error: EnginehouseError = refusal
        if isinstance(refusal, NotReady):
            try:
                return await self._loaded(model, task, refusal)
            except LimitReached as full:
                error = full
        route = self._routing.get(model)
        if not isinstance(error, LimitReached) or route is None or route.turns is None or not route.limit:
            raise error
        return await route.turns.wait(lambda: self._routing.pick(model, task, tried, called=True), error)

    async def _loaded(self, model: str, task: str, refusal: NotReady) -> Replica:
        """Asks for the model and waits until it is there; however many ask, it is loaded once."""
        before = route = self._routing.get(model)
        if route is None or route.demand is None:
            raise refusal
        with self._routing.awaiting(model):
            try:
                async with asyncio.timeout(self._demand_seconds):
                    while route is not None:
                        if route.demand is not None:  # else it is loaded by itself, since it was changed meanwhile
                            route.demand()
                        await self._change(model)
                        try:
                            return self._routing.pick(model, task)
                        except NotReady as still:
                            refusal = still
                        route = self._routing.get(model)
                        _check_refused(before, route)
                    raise refusal
            except TimeoutError:
                raise _too_long(model, self._demand_seconds, self._routing.get(model)) from None

    async def _change(self, model: str) -> None:
        """Returns after the next change of the model's route. Raises NotReady when the server leaves."""
        leaving = asyncio.ensure_future(self._stopping.wait())
        either: set[asyncio.Future[Any]] = {self._routing.change(model), leaving}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if self._stopping.is_set():
            raise NotReady(
                f"The server is stopping while model {model!r} is loaded; try again when it is back.",
                retry_after=RETRY_AFTER_SECONDS,
            )


def _check_refused(before: Route | None, now: Route | None) -> None:
    """Raises what was said to this demand; what an earlier one was told is no answer."""
    if now and now.refused and before and now.refused is not before.refused:
        raise now.refused


def _too_long(model: str, seconds: float, route: Route | None) -> NotReady:
    waiting = route.waiting if route else "is not there"
    return NotReady(
        f"Model {model!r} {waiting}; it was not ready within {seconds:g} s. Try again.",
        retry_after=RETRY_AFTER_SECONDS,
    )
