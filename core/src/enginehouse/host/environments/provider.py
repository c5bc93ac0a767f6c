"""From what a launch needs to an environment: found, waited for, or made. The only way to one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import time
from functools import partial

import msgspec

from ...sdk import EnginehouseError, Environment, EnvironmentNeed, LaunchFailed, Lock, ProvisionerSpec, Report, Step
from ..contributions import Contributions
from ..settings import Settings
from ..targets import resolve
from ..time_limit import TookTooLong, within
from .cargo import Cargo, load_cargo
from .errands import Errand, Made, Provided
from .holding import new_token
from .making import CannotMake, Listener, run_errand
from .needs import (
    KeptLock,
    answers,
    fingerprint,
    forget_failure,
    memory_name,
    recall_failure,
    recall_lock,
    remember_failure,
    remember_lock,
)
from .shelf import DIGEST_LETTERS, EnvironmentRecord, Shelf, digest_of

ENDED_SECONDS = 10.0  # for a build that nobody wants any more to be gone: a kill and the removal of its files


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What one launch wants. asked_by: the model; since: when a user asked last, in seconds since 1970; a failure
    after that is not tried again. kept: the lock that it ran with before."""

    need: EnvironmentNeed
    asked_by: str = ""
    since: float = 0.0
    kept: KeptLock | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """An environment. kept: the lock to keep with the deployment; made: its record, when it was built for this."""

    environment: Environment
    kept: KeptLock | None = None
    made: EnvironmentRecord | None = None


async def provide_environment(wish: Wish, contributions: Contributions, settings: Settings, report: Report) -> Grant:
    """The environment that a wish comes to; `report` is called on the event loop.

    Callers that want the same at the same time share one build; when the last of them is cancelled it ends, and
    nothing of it stays. Raises EnginehouseError: what lacks, or why it cannot be made and what to do.
    """
    spec = contributions.provisioner(wish.need.provisioner)
    if spec is None:
        raise LaunchFailed(
            f"No loaded plugin brings the provisioner {wish.need.provisioner!r}; see `enginehouse plugins`."
        )
    if spec.quick:
        return Grant(environment=await _ask(spec, wish.need, settings))
    shelf = Shelf(settings.home)
    try:
        cargo = await asyncio.to_thread(load_cargo, wish.need.carried, shelf)
    except OSError as error:
        raise LaunchFailed(f"The folder {shelf.root} cannot be written: {error}. Mend it, and launch again.") from error
    wish = msgspec.structs.replace(wish, need=with_requirements(wish.need, cargo))
    if spec.provision:
        return await _provide(spec, wish, cargo, settings, report)
    return await _make(spec, wish, cargo, settings, report)


def with_requirements(need: EnvironmentNeed, cargo: Cargo) -> EnvironmentNeed:
    """What the carried code requires joins what is asked for."""
    return msgspec.structs.replace(need, requirements=tuple(dict.fromkeys((*need.requirements, *cargo.requirements))))


async def _ask(spec: ProvisionerSpec, need: EnvironmentNeed, settings: Settings) -> Environment:
    folder = Shelf(settings.home).root
    call = partial(resolve(spec.provision), need, folder, _ignore)
    try:
        environment: Environment = await asyncio.to_thread(within, settings.plugin_seconds, call, spec.name)
    except EnginehouseError:
        raise
    except (Exception, TookTooLong) as error:  # a provisioner is foreign code
        raise LaunchFailed(
            f"Provisioner {spec.name!r} failed for engine {need.engine}: {type(error).__name__}: {error}"
        ) from error
    return environment


async def _provide(spec: ProvisionerSpec, wish: Wish, cargo: Cargo, settings: Settings, report: Report) -> Grant:
    listener = Listener(report, _ignore)
    said = await run_errand(_errand(spec, wish, settings, None), listener)
    if not isinstance(said, Provided):
        raise LaunchFailed(f"Provisioner {spec.name!r} made an environment where it was to name one.")
    environment = said.environment
    name = hashlib.sha256(environment.python.encode()).hexdigest()[:DIGEST_LETTERS]
    variables = {**environment.variables, **_seal(Shelf(settings.home), cargo, name)}
    return Grant(environment=msgspec.structs.replace(environment, variables=variables))


async def _make(spec: ProvisionerSpec, wish: Wish, cargo: Cargo, settings: Settings, report: Report) -> Grant:
    shelf = Shelf(settings.home)
    lock = await asyncio.to_thread(_known_lock, shelf, wish)
    if lock is not None:
        found = await asyncio.to_thread(shelf.find, digest_of(lock, spec.name))
        if found:
            return _grant(shelf, found, wish, cargo, None)
    _refuse_what_failed(shelf, wish)
    errand = _errand(spec, wish, settings, lock)
    try:
        made = await _fly(errand, shelf, report)
    except CannotMake as error:
        if error.lasting:
            await asyncio.to_thread(remember_failure, shelf, wish.need, error.message)
        raise
    forget_failure(shelf, wish.need)
    return _grant(shelf, made.record, wish, cargo, None if made.found else made.record)


def _known_lock(shelf: Shelf, wish: Wish) -> Lock | None:
    """What the deployment ran with, as long as that does; else what anybody was given for that need."""
    if wish.kept and answers(wish.kept, wish.need):
        return wish.kept.lock
    return recall_lock(shelf, wish.need)


def _refuse_what_failed(shelf: Shelf, wish: Wish) -> None:
    failure = recall_failure(shelf, wish.need)
    if failure and failure.ts >= wish.since:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(failure.ts))
        raise LaunchFailed(
            f"{failure.message} That was at {when}, and is not tried again by itself: launch the model again to try."
        )


def _grant(shelf: Shelf, record: EnvironmentRecord, wish: Wish, cargo: Cargo, made: EnvironmentRecord | None) -> Grant:
    shelf.use(record.digest)
    folder, python = shelf.folder(record.digest), shelf.python(record.digest)
    variables = {
        **_seal(shelf, cargo, record.digest),
        "VIRTUAL_ENV": str(folder),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    environment = Environment(
        provisioner=record.provisioner, python=str(python), variables=variables, digest=record.digest
    )
    return Grant(
        environment=environment,
        kept=KeptLock(need=fingerprint(wish.need), provisioner=record.provisioner, lock=record.lock),
        made=made,
    )


def _seal(shelf: Shelf, cargo: Cargo, name: str) -> dict[str, str]:
    """Variables that keep the server's packages and this user's out, and bytecode where it can be written."""
    return {
        "PYTHONPATH": str(cargo.folder),
        "PYTHONHOME": "",  # empty is as good as unset, and the server's own may be set
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(shelf.bytecode / name),
    }


def _errand(spec: ProvisionerSpec, wish: Wish, settings: Settings, lock: Lock | None) -> Errand:
    return Errand(
        need=wish.need,
        home=str(settings.home),
        token=new_token(),
        asked_by=wish.asked_by,
        path=tuple(sys.path),
        seconds=settings.environment_seconds,
        reserve_bytes=settings.environment_reserve_bytes,
        provision=spec.provision,
        resolve=spec.resolve,
        build=spec.build,
        lock=lock,
    )


async def _fly(errand: Errand, shelf: Shelf, report: Report) -> Made:
    """One build for all in this server who want the same."""
    key = (str(shelf.root), memory_name(errand.need), digest_of(errand.lock, "") if errand.lock else "")
    flight = _flights.get(key)
    if flight is None or flight.ended:
        flight = _flights[key] = _Flight(errand, shelf)
        flight.task.add_done_callback(lambda _: _flights.pop(key, None) if _flights.get(key) is flight else None)
    return await flight.join(report)


class _Flight:
    """One build and all who wait for it."""

    def __init__(self, errand: Errand, shelf: Shelf) -> None:
        self._reports: list[Report] = []
        self._last: Step | None = None
        listener = Listener(self._tell, partial(_remember, shelf, errand.need))
        self.task = asyncio.create_task(_run(errand, listener), name=f"environment for {errand.need.engine}")
        self.ended = False

    async def join(self, report: Report) -> Made:
        self._reports.append(report)
        if self._last:
            report(self._last)
        try:
            return await asyncio.shield(self.task)
        finally:
            self._reports.remove(report)
            if not self._reports and not self.task.done():
                self.ended = True
                self.task.cancel()
                await asyncio.wait({self.task}, timeout=ENDED_SECONDS)
            elif self.task.done() and not self.task.cancelled():
                with contextlib.suppress(BaseException):
                    self.task.exception()  # nobody may be left to hear it

    def _tell(self, step: Step) -> None:
        self._last = step
        for report in tuple(self._reports):
            report(step)


def _remember(shelf: Shelf, need: EnvironmentNeed, lock: Lock) -> None:
    """In a thread: it waits for the disk."""
    asyncio.get_running_loop().run_in_executor(None, remember_lock, shelf, need, lock)


async def _run(errand: Errand, listener: Listener) -> Made:
    said = await run_errand(errand, listener)
    if not isinstance(said, Made):
        raise LaunchFailed(f"Provisioner {errand.need.provisioner!r} named an environment where it was to make one.")
    return said


def _ignore(_: object) -> None:
    """Nobody listens."""


_flights: dict[tuple[str, str, str], _Flight] = {}
