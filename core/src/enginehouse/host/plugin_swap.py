"""One distribution's code in the place of another's, in this process, while requests go on; it can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from types import ModuleType

from .launcher_packages import meet_launchers
from .plugin_examination import PluginRefused
from .plugin_loading import Met, PluginRecord, entries_in, meet
from .plugin_shelf import mount, remount, unmount
from .plugins import PluginCensus

NOT_IN_USE = ("blocked",)  # the state of a plugin that may come without being taken in


class PluginSwap:
    """From the plugins `names`, whose code lies in `old`, to those in `new`; either folder may be missing.

    Modules of the old folder leave `sys.modules` before the new ones are imported, so that no module of one meets one
    of the other. What holds the old ones (a plan being made) runs on with them.
    """

    def __init__(self, census: PluginCensus, names: Collection[str], old: Path | None, new: Path | None) -> None:
        self._census = census
        self._names = names
        self._old = old
        self._new = new
        self._modules: dict[str, ModuleType] = {}
        self._former: list[PluginRecord] = []
        self._went: list[Met] = []
        self._came: list[str] = []

    async def do(self, blocked: Collection[str], seconds: float) -> None:
        """Raises PluginRefused when the new ones cannot be taken in; then nothing has changed."""
        if self._old:
            self._modules = unmount(self._old)
        try:
            come = await self._meet(self._new, blocked, seconds) if self._new else []
            self._former = [record for name in self._names if (record := self._census.record(name))]
            self._went = self._census.exchange(self._names, [one for one in come if isinstance(one, Met)])
        except BaseException:  # whatever it was, the former code stands where it stood
            self._stand_back()
            raise
        for name in self._names:
            if name not in {one.record.name for one in come if isinstance(one, Met)}:
                self._census.forget(name)
        for one in come:
            if isinstance(one, PluginRecord):
                self._census.add(one)
        self._came = [one.name if isinstance(one, PluginRecord) else one.record.name for one in come]

    def undo(self) -> None:
        """As it was before `do`."""
        self._stand_back()
        self._census.exchange(self._came, self._went)
        for name in self._came:
            if name not in self._names:
                self._census.forget(name)
        for record in self._former:
            self._census.add(record)

    def _stand_back(self) -> None:
        if self._new:
            unmount(self._new)
        if self._old:
            remount(self._old, self._modules)

    async def _meet(self, site: Path, blocked: Collection[str], seconds: float) -> list[Met | PluginRecord]:
        mount(site)
        come = await asyncio.to_thread(meet, entries_in(site), blocked, seconds)
        come += meet_launchers([site], blocked)
        for one in come:
            if isinstance(one, PluginRecord) and one.state not in NOT_IN_USE:
                raise PluginRefused(f"Plugin {one.called} cannot be loaded: {one.reason}")
        return come
