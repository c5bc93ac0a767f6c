"""`python -m enginehouse.host.environments.maker`: the process that makes one environment.

Provisioners are foreign code and run commands that hang: here they can be killed, with all that they started.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...sdk import CannotRun, Conflict, EnginehouseError, Environment, LaunchFailed, Lock, Step
from ..home import write_whole
from ..targets import resolve as find
from .errands import Errand, Failed, Locked, Made, Outcome, Provided, Resolved, Said, Stepped
from .holding import held, put_away, sweep, workspace
from .inspection import check_complete, read_records
from .needs import shareable
from .shelf import MARK, EnvironmentRecord, Shelf, digest_of
from .trees import seal

UNPACKED = 3.6  # bytes of an installed library to one of its wheel: what torch for the CPU comes to


WAIT_SHARE = 0.5  # of all the time there is: so that who waited for nothing can still build, or say so


class Mouth:
    """Speaks to the server, a line at a time. What libraries print goes to stderr."""

    def __init__(self) -> None:
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb")
        self._speaking = threading.Lock()
        os.dup2(2, 1)

    def say(self, word: Said) -> None:
        with self._speaking:
            self._stream.write(msgspec.json.encode(word) + b"\n")
            self._stream.flush()

    def step(self, step: Step) -> None:
        self.say(Stepped(phase=step.phase, package=step.package, done=step.done, total=step.total))


def main() -> None:
    """Does the one errand that stdin brings."""
    mouth = Mouth()
    errand = msgspec.json.decode(sys.stdin.buffer.readline(), type=Errand)
    threading.Thread(target=_end_with_the_server, name="lifeline", daemon=True).start()
    sys.path[:] = errand.path
    mouth.say(do(errand, mouth))


def do(errand: Errand, mouth: Mouth) -> Outcome:
    """What came of it; never raises."""
    shelf = Shelf(Path(errand.home))
    try:
        with workspace(shelf, errand.token) as space:
            tempfile.tempdir = os.environ["TMPDIR"] = str(_scratch(space))  # what a killed process leaves lies here
            if errand.provision:
                return Provided(environment=_provide(errand, space, mouth))
            return _make(errand, shelf, space, mouth)
    except EnginehouseError as error:
        passing = isinstance(error, Conflict) or _disk_is_full(shelf, errand)
        return Failed(code=error.code, message=error.message, lasting=not passing)
    except Exception as error:  # noqa: BLE001 - a provisioner is foreign code
        message = f"Provisioner {errand.need.provisioner!r} broke: {type(error).__name__}: {error}"
        return Failed(code=LaunchFailed.code, message=message, lasting=not isinstance(error, OSError))


def _provide(errand: Errand, space: Path, mouth: Mouth) -> Environment:
    environment: Environment = find(errand.provision)(errand.need, space, mouth.step)
    return environment


def _make(errand: Errand, shelf: Shelf, space: Path, mouth: Mouth) -> Made | Resolved:
    sweep(shelf)
    _check_disk(shelf, errand, None)
    lock = errand.lock or _resolve(errand, mouth)
    if not errand.build:
        return Resolved(lock=lock)
    digest = digest_of(lock, errand.need.provisioner)
    with held(shelf, digest, WAIT_SHARE * errand.seconds, lambda: mouth.step(Step(phase="wait"))):
        found = shelf.find(digest)
        if found:
            return Made(record=found, found=True)
        _check_disk(shelf, errand, lock)
        return Made(record=_build(errand, lock, shelf, space, mouth))


def _resolve(errand: Errand, mouth: Mouth) -> Lock:
    lock: Lock = find(errand.resolve)(errand.need, mouth.step)
    mouth.say(Locked(lock=lock))
    return lock


def _build(errand: Errand, lock: Lock, shelf: Shelf, space: Path, mouth: Mouth) -> EnvironmentRecord:
    """Builds beside, checks, seals, marks as complete; only then it gets its name."""
    began, folder = time.monotonic(), space / "environment"
    find(errand.build)(lock, errand.need, folder, mouth.step)
    mouth.step(Step(phase="check", done=len(lock.packages), total=len(lock.packages)))
    check_complete(folder, lock)
    size = seal(folder)
    record = EnvironmentRecord(
        digest=digest_of(lock, errand.need.provisioner),
        provisioner=errand.need.provisioner,
        lock=lock,
        made_ts=time.time(),
        seconds=time.monotonic() - began,
        size_bytes=size.total,
        own_bytes=size.own,
        engine=errand.need.engine,
        asked_by=errand.asked_by,
        need=shareable(errand.need),
        records=read_records(folder),
    )
    write_whole(folder / MARK, msgspec.json.encode(record))
    place = shelf.folder(record.digest)
    put_away(shelf, place)  # what is there has lost its interpreter, or its mark
    folder.rename(place)
    return record


def _check_disk(shelf: Shelf, errand: Errand, lock: Lock | None) -> None:
    """Notices before, not in the middle. Where the index says no sizes, only what is to stay free is looked at."""
    downloads = sum(package.size_bytes or 0 for package in lock.packages) if lock else 0
    needed, free = int(downloads * UNPACKED), shutil.disk_usage(shelf.root).free
    if free - needed < errand.reserve_bytes:
        raise CannotRun(
            f"There is too little room on the disk of {shelf.root}: {_mebibytes(free)} free, the environment takes "
            f"about {_mebibytes(needed)}, and {_mebibytes(errand.reserve_bytes)} stay free "
            "(ENGINEHOUSE_ENVIRONMENT_RESERVE_BYTES). Make room; `enginehouse env gc` removes environments that "
            "nothing uses."
        )


def _disk_is_full(shelf: Shelf, errand: Errand) -> bool:
    return not shelf.root.exists() or shutil.disk_usage(shelf.root).free < errand.reserve_bytes


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def _scratch(space: Path) -> Path:
    folder = space / "tmp"
    folder.mkdir()
    return folder


def _end_with_the_server() -> None:
    """stdin ends when the server does, however it ended: then this process and all that it started end too."""
    while sys.stdin.buffer.read(1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
