"""What one deployment is declared to be, here and in the database alike."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from msgspec.structs import replace

from .placement import Place
from .store import Declared, StateUnavailable, Store

logger = logging.getLogger(__name__)


class Declaration:
    """The declared value. It changes one step after the other, and is kept before anything is done about it."""

    def __init__(self, declared: Declared, store: Store) -> None:
        self.value = declared
        self._store = store
        self._forgotten = False
        self._changing = asyncio.Lock()

    @property
    def wanted(self) -> set[int]:
        """Ids of the replicas that shall run."""
        return {place.replica_id for place in self.value.places}

    async def scale_to(self, places: tuple[Place, ...]) -> None:
        """Raises StateUnavailable; then nothing has changed."""
        await self.change(request=replace(self.value.request, replica=len(places)), replicas=places)

    async def change(self, **fields: Any) -> None:
        """Raises StateUnavailable; then nothing has changed."""
        async with self._changing:
            declared = replace(self.value, **fields)
            if not self._forgotten:
                await self._store.declare(declared)
            self.value = declared

    async def note(self, **fields: Any) -> None:
        """Keeps what has happened anyway: without the database it is known here at least."""
        try:
            await self.change(**fields)
        except StateUnavailable as error:
            logger.warning("%s: %s", self.value.uid, error)
            self.value = replace(self.value, **fields)

    async def forget(self) -> None:
        """It shall not come back after a restart. Raises StateUnavailable."""
        self._forgotten = True  # before the database is asked: what is on its way there comes before
        try:
            await self._store.forget(self.value.uid)
        except StateUnavailable:
            self._forgotten = False
            raise
