"""What people do with environments beside launching: lock, build, write down, take in."""

from __future__ import annotations

import platform
import sys
import sysconfig
from asyncio import to_thread
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from ...sdk import BadRequest, CannotRun, EnvironmentNeed, Lock, ProvisionerSpec, Report
from ..planning import Plan
from ..plugins import PluginCensus
from ..settings import Settings
from .cargo import Cargo
from .carriers import with_carried
from .distributions import bill_of
from .errands import Errand, Made, Resolved
from .holding import new_token
from .making import Listener, run_errand
from .needs import forget_lock, pin_lock, recall_lock, remember_lock, shareable
from .provider import Wish, provide_environment, with_requirements
from .shelf import EnvironmentRecord, Shelf, digest_of

FORMAT = 1  # of exported locks


class LockedNeed(msgspec.Struct, frozen=True, kw_only=True):
    """A need and what it comes to. digest: of the environment; exists: whether it stands. A file of it is what
    `export` writes and `import` reads: it names packages, versions and hashes, and no index."""

    need: EnvironmentNeed
    lock: Lock
    digest: str
    exists: bool = False
    format: int = FORMAT

    def versions(self) -> dict[str, str]:
        """Of the lock's packages, by canonical name."""
        return {canonicalize_name(package.name): package.version for package in self.lock.packages}


class Ground(msgspec.Struct, frozen=True):
    """What acts go by."""

    census: PluginCensus
    settings: Settings

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.settings.home)


async def whole_need(plan: Plan, ground: Ground) -> EnvironmentNeed:
    """What a launch of this plan would have made, carried code's requirements included. Raises CannotRun when it runs
    in an environment that nobody makes."""
    if not makes(plan.environment, ground).resolve:
        raise CannotRun(
            f"{plan.family.name} would run with the provisioner {plan.environment.provisioner}, which makes no "
            f"environment. {plan.environment.reason} Say environment=uv to have one made."
        )
    need = with_carried(plan.environment, plan, ground.census)
    bill = await to_thread(bill_of, need.carried)
    return with_requirements(need, Cargo(folder=Path(), requirements=bill.requirements))


def makes(need: EnvironmentNeed, ground: Ground) -> ProvisionerSpec:
    """Who makes it. Raises CannotRun when no plugin brings that provisioner."""
    spec = ground.census.contributions.provisioner(need.provisioner)
    if spec is None:
        raise CannotRun(f"No loaded plugin brings the provisioner {need.provisioner!r}; see `enginehouse plugins`.")
    return spec


async def lock_need(need: EnvironmentNeed, ground: Ground, report: Report, again: bool = False) -> LockedNeed:
    """The lock that launches of this need will have. again: asks the indexes although it is known, so that newer
    versions come in; what is declared keeps its own lock until it is launched anew."""
    lock = None if again else await to_thread(recall_lock, ground.shelf, need)
    if lock is None:
        said = await run_errand(_errand(need, ground), Listener(report, lambda _: None))
        if not isinstance(said, Resolved):
            raise CannotRun(f"Provisioner {need.provisioner!r} gave no lock.")
        lock = said.lock
        await to_thread(forget_lock, ground.shelf, need)
        await to_thread(remember_lock, ground.shelf, need, lock)
    return locked_need(need, lock, ground)


async def find_lock(need: EnvironmentNeed, ground: Ground) -> LockedNeed | None:
    """The lock that is known for a need. Asks nobody."""
    lock = await to_thread(recall_lock, ground.shelf, need)
    return locked_need(need, lock, ground) if lock else None


def locked_need(need: EnvironmentNeed, lock: Lock, ground: Ground) -> LockedNeed:
    digest = digest_of(lock, need.provisioner)
    exists = ground.shelf.find(digest) is not None
    return LockedNeed(need=shareable(need), lock=lock, digest=digest, exists=exists)


async def build_plan(plan: Plan, ground: Ground, report: Report) -> EnvironmentRecord:
    """The environment that a launch of this plan would run in; made when it is not there."""
    await whole_need(plan, ground)
    wish = Wish(
        need=with_carried(plan.environment, plan, ground.census),
        asked_by=plan.request.model_uid or plan.request.model_name,
        since=sys.float_info.max,  # somebody asks now, whatever failed before
    )
    granted = await provide_environment(wish, ground.census.contributions, ground.settings, report)
    return _record(granted.environment.digest, ground)


async def build_locked(locked: LockedNeed, ground: Ground, report: Report) -> EnvironmentRecord:
    """The environment of a lock, found or made, from wherever `locked.need` says packages come from; launches of that
    need get it from now on. Raises BadRequest when it is for another Python or platform."""
    check_here(locked.lock)
    errand = _errand(locked.need, ground, locked.lock, makes(locked.need, ground).build)
    said = await run_errand(errand, Listener(report, lambda _: None))
    if not isinstance(said, Made):
        raise CannotRun(f"Provisioner {locked.need.provisioner!r} made no environment.")
    await to_thread(pin_lock, ground.shelf, locked.need, locked.lock)
    return said.record


def check_here(lock: Lock) -> None:
    """Raises BadRequest when a lock is not for this Python and platform."""
    here = (platform.python_version_tuple()[:2], sysconfig.get_platform())
    if (tuple(lock.python.split(".")[:2]), lock.platform) != here:
        raise BadRequest(
            f"This lock is for Python {lock.python} on {lock.platform}; this server runs Python "
            f"{platform.python_version()} on {sysconfig.get_platform()}. Lock anew here."
        )


def _record(digest: str, ground: Ground) -> EnvironmentRecord:
    record = ground.shelf.find(digest)
    if record is None:
        raise CannotRun(f"The environment {digest} was removed while it was wanted; try again.")
    return record


def _errand(need: EnvironmentNeed, ground: Ground, lock: Lock | None = None, build: str = "") -> Errand:
    return Errand(
        need=need,
        home=str(ground.settings.home),
        token=new_token(),
        asked_by="",
        path=tuple(sys.path),
        seconds=ground.settings.environment_seconds,
        reserve_bytes=ground.settings.environment_reserve_bytes,
        resolve=makes(need, ground).resolve,
        build=build,
        lock=lock,
    )
