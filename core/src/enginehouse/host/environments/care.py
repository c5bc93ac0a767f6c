"""The environments of a running house: what acts on them need of its other parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from ...sdk import BadRequest, Conflict, EnvironmentNeed, ModelFamily
from ...sdk.credentials import in_every_text, strip_credentials
from ..launch_request import LaunchRequest
from ..pip_configuration import read_pip_configuration
from ..planning import Plan
from ..registrations import Registrations
from ..store import Store
from .acts import Ground, LockedNeed, locked_need
from .collection import Collected, collect, references
from .holding import put_away
from .listing import EnvironmentView, find_record, list_environments
from .shelf import Shelf
from .works import Works

Json = dict[str, Any]


class EnvironmentCare(msgspec.Struct, frozen=True):
    """plan: from a launch to a Plan, raising EnginehouseError."""

    ground: Ground
    store: Store
    registrations: Registrations
    plan: Callable[[LaunchRequest], Awaitable[Plan]]
    works: Works

    @property
    def shelf(self) -> Shelf:
        return self.ground.shelf

    async def views(self) -> list[EnvironmentView]:
        """All environments. Reads the disk."""
        declared = await self.store.declared()
        return await asyncio.to_thread(list_environments, self.shelf, declared, self.ground.settings.workers_folder)

    async def view(self, digest: str) -> EnvironmentView:
        """The one that is there. Raises EnvironmentUnknown."""
        record = await asyncio.to_thread(find_record, self.shelf, digest)
        return next(view for view in await self.views() if view.digest == record.digest)

    async def of_models(
        self, model_name: str | None = None, model_engine: str | None = None, python_version: str | None = None
    ) -> list[tuple[str, EnvironmentView]]:
        """Each model with each environment that it runs in, where what is not None is so. Names without case."""
        wanted = {"engine": model_engine, "python": python_version}
        found = [(name, view) for view in await self.views() for name in view.model_names]
        return [
            (name, view)
            for name, view in found
            if _alike(model_name, name) and all(_alike(value, getattr(view, field)) for field, value in wanted.items())
        ]

    async def remove(self, model_name: str, views: list[EnvironmentView]) -> bool:
        """Removes environments of one model; whether there was one. Raises Conflict when a worker runs in one of them,
        or another model is declared with it."""
        for view in views:
            others = [name for name in view.model_names if not _alike(model_name, name)]
            if view.in_use or others:
                who = f"the models {', '.join(others)}" if others else "a worker"
                raise Conflict(f"The environment {view.path} is in use by {who}; end the model first.")
        for view in views:
            await asyncio.to_thread(put_away, self.shelf, Path(view.path))
        return bool(views)

    async def collect(self, keep_days: float, dry_run: bool) -> Collected:
        """Removes what no declared model and no worker refers to."""
        referred = references(await self.store.declared(), self.ground.settings.workers_folder)
        return await asyncio.to_thread(collect, self.shelf, referred, keep_days, dry_run)

    async def export(self, digest: str) -> LockedNeed:
        """The lock of an environment with its need. Raises EnvironmentUnknown."""
        record = await asyncio.to_thread(find_record, self.shelf, digest)
        need = record.need or EnvironmentNeed(engine=record.engine, provisioner=record.provisioner)
        return locked_need(need, record.lock, self.ground)

    async def with_own_indexes(self, locked: LockedNeed) -> LockedNeed:
        """A lock of elsewhere, whose packages come from where this server's pip takes them."""
        indexes = await asyncio.to_thread(read_pip_configuration)
        return msgspec.structs.replace(locked, need=msgspec.structs.replace(locked.need, indexes=indexes))

    def registration(self, family: ModelFamily) -> Json | None:
        """What made a model known that a user registered; None for a plugin's."""
        if self.ground.census.contributions.family(family.model_type, family.name) is None:
            return None  # drafted from weights
        document = self.registrations.find(family.model_type, family.name)[1]
        return {"model_type": family.model_type, "model": document} if document else None

    async def register(self, registration: Json) -> bool:
        """Makes a bundle's model known; whether it was not yet. Raises BadRequest when the name means another model."""
        model_type, model = registration["model_type"], registration["model"]
        known = self.ground.census.contributions.family(model_type, model["model_name"])
        if known is None:
            await self.registrations.register(model_type, model, persist=True)
            return True
        here = self.registrations.find(model_type, known.name)[1]
        if in_every_text(strip_credentials, here) != in_every_text(strip_credentials, model):
            raise BadRequest(
                f"The bundle registers {known.name}, and another model of that name is known here; unregister it first."
            )
        return False


def _alike(wanted: str | None, there: str) -> bool:
    """Whether it is what is wanted; None wants nothing."""
    return wanted is None or wanted.lower() == there.lower()
