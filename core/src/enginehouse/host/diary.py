"""What happened to one deployment, and the small writes that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, Literal

import msgspec

from ..sdk.credentials import hide_credentials
from .store import EVENTS_KEPT, Store
from .views import Event

logger = logging.getLogger(__name__)


class Diary:
    """The last events of a deployment, here at once and in the database soon."""

    def __init__(self, model_uid: str, store: Store) -> None:
        self._model_uid = model_uid
        self._store = store
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def events(self) -> list[Event]:
        return list(self._events)

    def recall(self, events: Iterable[Event]) -> None:
        """Takes up what the database kept from before."""
        self._events.extend(events)

    def note(self, event: Event) -> None:
        event = msgspec.structs.replace(event, text=hide_credentials(event.text))
        self._events.append(event)
        self.soon(self._store.note(self._model_uid, event))

    def tell(self, kind: Literal["INFO", "WARNING", "ERROR"], text: str) -> None:
        """Notes what happens now, in the server's log too."""
        logger.log(logging.INFO if kind == "INFO" else logging.WARNING, "%s: %s", self._model_uid, text)
        self.note(Event(ts=time.time(), kind=kind, text=text))

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it beside everything else; `close` waits for it."""
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Returns when all is written."""
        if self._writing:
            await asyncio.wait(self._writing)
