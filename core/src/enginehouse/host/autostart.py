"""Starting models with the server. What is declared comes back by itself; entries say in which order, which of it shall
not, and what else is to be started, with how many tries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

import msgspec

from ..sdk import Cancelled, Conflict, EnginehouseError, ModelNotFound
from .autostart_entries import Entries, Entry, Terms
from .declarations import comparable, written
from .deployments import Deployments
from .hubs import default_uid
from .launch_request import LaunchRequest, check_uid
from .store import Declared, Store

logger = logging.getLogger(__name__)

Json = dict[str, Any]


class EntryUnknown(EnginehouseError):
    """There is no such entry."""

    status, code, kind = 404, "autostart_not_found", "invalid_request_error"


class Tries(msgspec.Struct):
    """What became of the starts of one uid since the server's own."""

    attempts: int = 0
    last_error: str | None = None


class StartedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is started with the server, and how. status: of its deployment; None where there is none."""

    model_uid: str
    terms: Terms
    request: LaunchRequest
    status: str | None
    tries: Tries


class Autostart:
    """Entries beside what is declared, and the tasks that bring up those that are not."""

    def __init__(self, store: Store, deployments: Deployments) -> None:
        self._store = store
        self._entries = Entries(store)
        self._deployments = deployments
        self._tries: dict[str, Tries] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._launching = asyncio.Lock()  # in the order of priority, one is declared after the other

    async def order(self, declared: list[Declared], running: Collection[str]) -> list[Declared]:
        """What of the declared is to be taken up, in which order. The rest is forgotten, but for what still runs."""
        await self._entries.prepare()
        entries = await self._entries.all()
        left = []
        for one in declared:
            if one.uid in running or not _shall_end(one, entries.get(one.uid)):
                left.append(one)
            else:
                await self._end(one, entries[one.uid])
        for uid in [uid for uid, entry in entries.items() if entry.dismissed is not None and uid not in running]:
            await self._entries.remove(uid)
        return sorted(left, key=lambda one: entries[one.uid].terms.priority if one.uid in entries else Terms().priority)

    async def _end(self, declared: Declared, entry: Entry) -> None:
        """It is not declared any more; an entry that is not enabled keeps how it was."""
        logger.info("%s is not started with the server: autostart says so", declared.uid)
        if entry.dismissed is None:
            await self._entries.put(msgspec.structs.replace(entry, request=declared.request))
        await self._store.forget(declared.uid)

    async def begin(self) -> None:
        """Starts to bring up what has an entry and is not declared, or has failed."""
        for entry in (await self._entries.all()).values():
            if entry.terms.enabled and entry.dismissed is None:
                self._bring_up(entry)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def all(self) -> list[StartedModel]:
        """All that is started with the server, or was and is not to be, in that order."""
        entries, declared = await self._entries.all(), {one.uid: one for one in await self._store.declared()}
        status = {view.model_uid: view.status for view in self._deployments.views()}
        shown = [
            StartedModel(
                model_uid=uid,
                terms=known.terms,
                request=known.request,
                status=status.get(uid),
                tries=self._tries.get(uid, Tries()),
            )
            for uid in {**entries, **declared}
            if (known := _effective(entries.get(uid), declared.get(uid)))
        ]
        return sorted(shown, key=lambda one: (one.terms.priority, one.model_uid))

    async def put(self, request: LaunchRequest, terms: Terms) -> StartedModel:
        """Keeps an entry, in place of one of its uid, and starts it unless it is not enabled. Returns at once.

        Raises Conflict when something else is declared by this uid, what planning raises, StateUnavailable.
        """
        uid = request.model_uid or default_uid(request.model_name)
        check_uid(uid)
        request = msgspec.structs.replace(request, model_uid=uid)
        known = next((one for one in await self.all() if one.model_uid == uid), None)
        if known is not None and known.status not in (None, "ERROR") and not _same(known.request, request, uid):
            raise Conflict(
                f"The model {uid!r} is declared with another launch. Terminate it first, or choose another model_uid.",
                param="launch",
            )
        if terms.enabled:
            await self._deployments.plan(request)  # refused now rather than with every start
        await self._entries.put(Entry(uid=uid, terms=terms, request=request))
        await self._end_task(uid)
        if terms.enabled:
            self._bring_up(Entry(uid=uid, terms=terms, request=request))
        return next(one for one in await self.all() if one.model_uid == uid)

    async def remove(self, uid: str) -> None:
        """It is not started with the server any more; what runs runs on. Raises EntryUnknown, StateUnavailable."""
        if not any(one.model_uid == uid for one in await self.all()):
            raise EntryUnknown(f"No model {uid!r} is started with the server. All: GET /v1/autostart/models.")
        await self._end_task(uid)
        declared = next((one for one in await self._store.declared() if one.uid == uid), None)
        if declared is None:
            return await self._entries.remove(uid)
        await self._entries.put(
            Entry(uid=uid, terms=Terms(enabled=False), request=declared.request, dismissed=declared.created_ts)
        )

    def _bring_up(self, entry: Entry) -> None:
        self._tasks[entry.uid] = asyncio.create_task(self._try(entry), name=f"autostart {entry.uid}")

    async def _end_task(self, uid: str) -> None:
        task = self._tasks.pop(uid, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _try(self, entry: Entry) -> None:
        """Until it is there, somebody ends it, or the tries are used up."""
        tries = self._tries[entry.uid] = Tries()
        for again in range(entry.terms.max_retries + 1):
            if again:
                await asyncio.sleep(entry.terms.retry_interval_seconds)
            tries.attempts += 1
            try:
                async with self._launching:
                    uid = await self._deployments.launch(entry.request)
                return await self._deployments.wait_ready(uid)
            except (Conflict, Cancelled, ModelNotFound):
                return  # it is there already, or somebody has ended it meanwhile
            except EnginehouseError as error:
                tries.last_error = error.message
                logger.warning("autostart of %s, try %d: %s", entry.uid, again + 1, error.message)


def shown_launch(request: LaunchRequest, uid: str) -> Json:
    """The body of `POST /v1/models` that would launch the same."""
    told = written(request, uid)
    options = told.pop("options", {})
    return {**told, **options}


def _effective(entry: Entry | None, declared: Declared | None) -> Entry | None:
    """What holds of one uid: what is declared says the launch, an entry says the terms. None where nothing holds."""
    if entry is not None and entry.dismissed is not None:
        if _dismisses(entry, declared):
            return None
        entry = None  # it was about a deployment that is gone
    if declared is None:
        return entry
    # what is declared and has no entry comes back, unless it never came up
    terms = entry.terms if entry is not None else Terms(enabled=declared.desired == "running")
    return Entry(uid=declared.uid, terms=terms, request=declared.request)


def _shall_end(declared: Declared, entry: Entry | None) -> bool:
    if entry is None:
        return False
    return _dismisses(entry, declared) or (entry.dismissed is None and not entry.terms.enabled)


def _dismisses(entry: Entry, declared: Declared | None) -> bool:
    """Whether an entry is about nothing but the end of this deployment; a later one of the same uid is another."""
    return entry.dismissed is not None and (declared is None or declared.created_ts == entry.dismissed)


def _same(one: LaunchRequest, other: LaunchRequest, uid: str) -> bool:
    return comparable(shown_launch(one, uid)) == comparable(shown_launch(other, uid))
