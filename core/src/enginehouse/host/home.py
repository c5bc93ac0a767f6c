"""The home folder: private, and held by one server at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..sdk import Conflict, EnginehouseError

SOCKET_PATH_BYTES = 103  # sockaddr_un holds 104 bytes on macOS and 108 on Linux, the final zero included


class HomeUnusable(EnginehouseError):
    """The home cannot be written."""

    code = "home_unusable"


@contextmanager
def held_home(home: Path, who: str) -> Iterator[None]:
    """Holds the home for this process. Raises Conflict when another server has it, HomeUnusable when nobody can."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(home / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeUnusable(f"The home {home} cannot be used: {error}. Give another with ENGINEHOUSE_HOME.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another server"
            raise Conflict(
                f"The home {home} is in use by {holder}. Stop that one, or give this one a home of its own with "
                "ENGINEHOUSE_HOME."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} at {who}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def private_folder(folder: Path) -> Path:
    """Makes a folder that only this user can enter. Raises HomeUnusable when somebody else owns it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise HomeUnusable(f"The folder {folder} cannot be made private: {error}.") from error
    return folder


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file that survives a power cut whole or not at all; nothing stays beside it. Raises OSError."""
    beside = file.with_name(f".{file.name}.new")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except BaseException:  # whatever it was, no half file stays
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name is in the folder, not in the file
    finally:
        os.close(folder)


def socket_folder(worker_folder: Path) -> Path:
    """Where a worker's sockets go: its own folder, or, when that path is too long for the system, a short one.

    Raises HomeUnusable when even the temporary folder's path is too long.
    """
    longest = len(os.fsencode(worker_folder / "keeper.sock"))
    if longest <= SOCKET_PATH_BYTES:
        return worker_folder
    digest = hashlib.sha256(os.fsencode(worker_folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"enginehouse-{os.getuid()}" / digest
    if len(os.fsencode(short / "keeper.sock")) > SOCKET_PATH_BYTES:
        raise HomeUnusable(
            f"A socket in {worker_folder} would have a path of {longest} bytes, and one in {short} would be too long "
            f"too; the system allows {SOCKET_PATH_BYTES}. Give a shorter ENGINEHOUSE_HOME or TMPDIR."
        )
    private_folder(short.parent)
    return private_folder(short)
