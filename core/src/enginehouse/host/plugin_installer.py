"""Plugins of a running server, changed while it serves: installed, upgraded, removed, blocked.

One change after the other, each whole or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from ..sdk import Conflict, EnginehouseError, InvalidSpec, LaunchFailed
from .block_list import BLOCK_LIST, block, blocked_names, unblock
from .contributions import Contributions
from .deployments import Deployments
from .home import HomeUnusable
from .launcher_packages import meet_launchers
from .planning import Plan
from .plugin_examination import (
    Examination,
    Kept,
    PluginRefused,
    PluginSource,
    examine,
    find_problems,
    recall_examined,
    site_of,
)
from .plugin_loading import BUILTIN, Met, PluginRecord, find_entries, meet
from .plugin_shelf import Shelf, Shelved
from .plugin_swap import PluginSwap
from .plugin_users import runs_code_of, stands_on
from .plugins import PluginCensus
from .settings import Settings

Uses = Callable[[Plan, Contributions, Collection[str], str], bool]

logger = logging.getLogger(__name__)


class PluginUnknown(EnginehouseError):
    """There is no plugin of that name."""

    status, code, kind = 404, "plugin_not_found", "invalid_request_error"


class UpgradeFailed(LaunchFailed):
    """The new version did not prove itself; the former one serves on."""

    code = "upgrade_failed"


class PluginInstaller:
    """Changes which plugins this server has, and moves its models along."""

    def __init__(self, settings: Settings, census: PluginCensus, deployments: Deployments) -> None:
        self._settings = settings
        self._census = census
        self._deployments = deployments
        self._shelf = Shelf(settings.home)
        self._changing = asyncio.Lock()

    def sweep(self, plans: Iterable[Plan]) -> None:
        """Removes versions that neither are installed nor run in a worker."""
        self._shelf.sweep([folder for plan in plans for folder in plan.code])

    async def examine(self, wish: PluginSource) -> Examination:
        """What installing it would bring; nothing changes. Raises PluginRefused, LaunchFailed."""
        kept = await examine(wish, self._settings, self._shelf)
        self._refuse_problems(kept)
        return self._with_users(kept.examination)

    async def install(self, digest: str) -> list[PluginRecord]:
        """Installs what was examined. Raises PluginRefused, HomeUnusable; then nothing has changed."""
        async with self._changing:
            kept = recall_examined(digest, self._shelf)
            former = self._shelf.find(kept.examination.distribution)
            if former is not None:
                raise PluginRefused(
                    f"{former.distribution} {former.version} is installed already. To replace it by "
                    f"{kept.examination.version}: `enginehouse plugins upgrade`."
                )
            self._refuse_problems(kept)
            shelved = await asyncio.to_thread(_put_on_shelf, kept, self._shelf)
            swap = PluginSwap(self._census, (), None, self._shelf.site(shelved))
            try:
                await self._do(swap)
            except EnginehouseError:
                await self._throw_away(shelved)
                raise
            await self._keep(shelved, swap)
            return self._records_of(shelved.distribution)

    async def upgrade(self, name: str, digest: str) -> list[PluginRecord]:
        """Replaces an installed distribution by what was examined, and the workers of every model that runs its code.

        Returns when all have been replaced; former workers may still end their requests. Raises UpgradeFailed when a
        new worker did not prove itself: then the former version serves on. Raises PluginUnknown, PluginRefused,
        HomeUnusable.
        """
        async with self._changing:
            former = self._installed(name, self._how_to_upgrade)
            kept = recall_examined(digest, self._shelf)
            if canonicalize_name(kept.examination.distribution) != canonicalize_name(former.distribution):
                raise PluginRefused(
                    f"Plugin {name!r} comes from {former.distribution}; what was examined under this digest is "
                    f"{kept.examination.distribution}."
                )
            if former.digest == digest:
                raise PluginRefused(
                    f"{former.distribution} {former.version} is installed already, the very same files."
                )
            self._refuse_problems(kept)
            shelved = await asyncio.to_thread(_put_on_shelf, kept, self._shelf)
            await self._upgrade(former, shelved)
            return self._records_of(shelved.distribution)

    async def remove(self, name: str, force: bool = False) -> list[str]:
        """Removes a distribution with all its plugins, by the name of one of them; uids of models that were ended.

        Raises PluginUnknown, PluginRefused for one of the server's own environment, Conflict while models stand on it,
        unless `force` ends them.
        """
        async with self._changing:
            shelved = self._installed(name, _how_to_remove)
            names, site = self._names_of(shelved.distribution), self._shelf.site(shelved)
            users = [uid for uid in self._users(stands_on, names, site) if not self._deployments.failed(uid)]
            if users and not force:
                raise Conflict(
                    f"{shelved.distribution} is in use by {', '.join(map(repr, users))}. End them first, or remove it "
                    "with force, which ends them."
                )
            for uid in users:
                await self._deployments.terminate(uid)
            self._drop(shelved)
            await PluginSwap(self._census, names, site, None).do((), self._settings.plugin_seconds)
            await asyncio.to_thread(self.sweep, self._deployments.all_plans())
            await self._reconsider(names)
            return users

    async def block(self, name: str) -> PluginRecord:
        """From now on the plugin is not used, and not imported at the next start. Workers that run its code run on.

        Raises PluginUnknown, PluginRefused for the built-in one, HomeUnusable.
        """
        async with self._changing:
            record = self._record(name)
            if name == BUILTIN:
                raise PluginRefused(f"The plugin {BUILTIN!r} cannot be blocked: the server is made of it.")
            self._write_block_list(block, name)
            if record.state == "blocked":  # its routes may linger
                return record
            blocked = msgspec.structs.replace(
                record,
                state="blocked",
                reason="It is on the block list.",
                contributes={},
                traceback=None,
                rivals=(),
            )
            tasks = self._census.contributions.tasks_of(name)
            self._census.exchange([name], [])
            self._census.contributions.linger(name, tasks)
            self._census.add(blocked)
            await self._reconsider([name])
            return blocked

    async def unblock(self, name: str) -> PluginRecord:
        """Loads it again. Raises PluginUnknown, PluginRefused where the server's settings block it, HomeUnusable."""
        async with self._changing:
            record = self._record(name)
            if name in self._settings.blocked:
                raise PluginRefused(
                    f"{name!r} is blocked by ENGINEHOUSE_BLOCKED_PLUGINS; start the server without it there."
                )
            self._write_block_list(unblock, name)
            return await self._try(name) if record.state == "blocked" else record

    def record(self, name: str) -> PluginRecord:
        """What became of a plugin. Raises PluginUnknown."""
        return self._record(name)

    def shelved(self, record: PluginRecord) -> Shelved | None:
        """Its distribution, where it is installed in the home."""
        return self._shelf.find(record.distribution) if record.folder and record.distribution else None

    def users(self, name: str) -> list[str]:
        """Uids of models that stand on a plugin. Raises PluginUnknown."""
        record = self._record(name)
        return self._users(stands_on, [name], Path(record.folder or "/nonexistent"))

    async def _upgrade(self, former: Shelved, shelved: Shelved) -> None:
        names, site = self._names_of(former.distribution), self._shelf.site(former)
        users = self._users(runs_code_of, names, site)
        swap = PluginSwap(self._census, names, site, self._shelf.site(shelved))
        try:
            await self._do(swap)
            why = f"{shelved.distribution} {former.version} -> {shelved.version}."
            try:
                for uid in users:
                    await self._renew(uid, why)
                self._shelf.keep(shelved)
            except BaseException:  # also when cancelled: half an upgrade is none
                swap.undo()
                raise
        except (EnginehouseError, OSError) as error:
            await self._roll_back(former, shelved, str(error))
            raise UpgradeFailed(_rolled_back(former, shelved, str(error))) from error
        await asyncio.to_thread(self.sweep, self._deployments.all_plans())

    async def _renew(self, uid: str, why: str) -> None:
        if uid in self._deployments.plans() and not self._deployments.failed(uid):
            await self._deployments.renew(uid, why)

    async def _roll_back(self, former: Shelved, failed: Shelved, reason: str) -> None:
        """Brings those back that had moved already, throws the new version away, and remembers why."""
        for record in self._records_of(former.distribution):
            self._census.add(msgspec.structs.replace(record, reason=_rolled_back(former, failed, reason)))
        for uid in self._users(runs_code_of, (), self._shelf.site(failed)):
            try:
                await self._renew(uid, f"back to {former.distribution} {former.version}.")
            except EnginehouseError as error:
                logger.error("%s runs on with %s: %s", uid, failed.version, error)
        if not self._users(runs_code_of, (), self._shelf.site(failed)):
            await self._throw_away(failed)

    async def _do(self, swap: PluginSwap) -> None:
        try:
            await swap.do(blocked_names(self._settings), self._settings.plugin_seconds)
        except InvalidSpec as error:
            raise PluginRefused(error.message) from error

    async def _keep(self, shelved: Shelved, swap: PluginSwap) -> None:
        try:
            self._shelf.keep(shelved)
        except OSError as error:
            swap.undo()
            await self._throw_away(shelved)
            raise HomeUnusable(f"The list of plugins cannot be written: {error}. Nothing is installed.") from error

    async def _throw_away(self, shelved: Shelved) -> None:
        await asyncio.to_thread(shutil.rmtree, self._shelf.site(shelved), True)

    def _drop(self, shelved: Shelved) -> None:
        try:
            self._shelf.drop(shelved.distribution)
        except OSError as error:
            raise HomeUnusable(f"The list of plugins cannot be written: {error}. Nothing is removed.") from error

    def _write_block_list(self, change: Callable[[str, Path], None], name: str) -> None:
        try:
            change(name, self._settings.home)
        except OSError as error:
            raise HomeUnusable(f"{BLOCK_LIST} cannot be written: {error}. Nothing has changed.") from error

    async def _reconsider(self, gone: Iterable[str]) -> None:
        """Plugins that lay idle because these claimed a name of theirs may have it now."""
        for record in self._census.records:
            if record.state == "quarantined" and set(record.rivals) & set(gone):
                await self._try(record.name)

    async def _try(self, name: str) -> PluginRecord:
        one = self._shelf.place(await self._meet(name))
        if isinstance(one, Met):
            try:
                self._census.exchange((), [one])
            except InvalidSpec as error:
                one = msgspec.structs.replace(one.record, state="quarantined", contributes={}, reason=error.message)
        record = _record_of(one)
        self._census.add(record)
        return record

    async def _meet(self, name: str) -> Met | PluginRecord:
        blocked, seconds = blocked_names(self._settings), self._settings.plugin_seconds
        entries = [one for one in find_entries() if one.name == name][:1]
        come = await asyncio.to_thread(meet, entries, blocked, seconds)
        if not entries:
            come = [one for one in meet_launchers(self._shelf.sites(), blocked) if _record_of(one).name == name]
        if not come:
            raise PluginUnknown(f"The distribution of plugin {name!r} is not installed any more.", param="name")
        return come[0]

    def _refuse_problems(self, kept: Kept) -> None:
        known = {record.name: record for record in self._census.records}
        problems = list(find_problems(kept, self._shelf, self._census.contributions, known))
        if problems:
            told = "; ".join(problems)
            raise PluginRefused(
                f"{kept.examination.distribution} {kept.examination.version} cannot be installed: {told}."
            )

    def _with_users(self, examination: Examination) -> Examination:
        former = self._shelf.find(examination.distribution)
        if former is None:
            return examination
        users = self._users(runs_code_of, self._names_of(former.distribution), self._shelf.site(former))
        return msgspec.structs.replace(examination, replaces=former.version, upgrades=tuple(users))

    def _users(self, uses: Uses, names: Collection[str], site: Path) -> list[str]:
        contributions, plans = self._census.contributions, self._deployments.plans()
        return [uid for uid, own in plans.items() if any(uses(plan, contributions, names, str(site)) for plan in own)]

    def _installed(self, name: str, instead: Callable[[PluginRecord], str]) -> Shelved:
        """Where the home has it. Raises PluginRefused that says what to do `instead`."""
        record = self._record(name)
        found = self.shelved(record)
        if found is None:
            raise PluginRefused(
                f"{record.called} is installed in the server's own environment, which a running server leaves as it "
                f"is. {instead(record)}"
            )
        return found

    def _how_to_upgrade(self, record: PluginRecord) -> str:
        users = self._users(runs_code_of, self._names_of(record.distribution or ""), Path("/nonexistent"))
        renew = f", and `enginehouse renew` for {', '.join(map(repr, users))}" if users else ""
        return (
            f"Upgrade it there (`{sys.executable} -m pip install --upgrade {record.distribution}`), restart the server "
            f"(its models run on){renew}. To have it upgraded while the server runs, uninstall it there, restart, and "
            f"`enginehouse plugins install {record.distribution}`."
        )

    def _record(self, name: str) -> PluginRecord:
        record = self._census.record(name)
        if record is None:
            known = ", ".join(one.name for one in self._census.records)
            raise PluginUnknown(f"There is no plugin {name!r}. Plugins here: {known}.", param="name")
        return record

    def _records_of(self, distribution: str) -> list[PluginRecord]:
        wanted = canonicalize_name(distribution)
        return [
            one for one in self._census.records if one.distribution and canonicalize_name(one.distribution) == wanted
        ]

    def _names_of(self, distribution: str) -> list[str]:
        return [one.name for one in self._records_of(distribution)]


def _how_to_remove(record: PluginRecord) -> str:
    return f"Uninstall it there (`{sys.executable} -m pip uninstall {record.distribution}`) and restart, or block it."


def _record_of(one: Met | PluginRecord) -> PluginRecord:
    return one.record if isinstance(one, Met) else one


def _put_on_shelf(kept: Kept, shelf: Shelf) -> Shelved:
    """Moves what was examined to where it is used from. Raises HomeUnusable."""
    what = kept.examination
    shelved = Shelved(
        distribution=what.distribution,
        version=what.version,
        digest=what.digest,
        source=what.source,
        installed_ts=time.time(),
        modules=kept.modules,
        adds=what.adds,
    )
    place = shelf.site(shelved)
    try:
        if not place.exists():  # of these very files; a worker may run from them
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copytree(site_of(kept, shelf), place.with_name(f".{place.name}.new"), dirs_exist_ok=True)
            place.with_name(f".{place.name}.new").rename(place)
    except OSError as error:
        raise HomeUnusable(f"The plugin cannot be put into {place}: {error}. Nothing has changed.") from error
    return shelved


def _rolled_back(former: Shelved, failed: Shelved, reason: str) -> str:
    return (
        f"The upgrade from {former.version} to {failed.version} was rolled back, {former.version} serves on: {reason}"
    )
