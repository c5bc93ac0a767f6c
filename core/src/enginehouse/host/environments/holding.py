"""Who builds: lock files that end with their process, and the folders of those that are gone."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...sdk import Conflict
from ..home import private_folder
from .shelf import BUILDING, REMOVING, Shelf
from .trees import remove_tree

LOOK_SECONDS = 0.1  # between looks whether somebody else's build has ended; builds take seconds
TOKEN_BYTES = 6


@contextmanager
def held(shelf: Shelf, name: str, seconds: float, wait: Callable[[], None]) -> Iterator[None]:
    """Holds a name; `wait` is called when somebody else has it. Raises Conflict after `seconds`, OSError."""
    deadline, told = time.monotonic() + seconds, False
    handle = _open(shelf, name)
    try:
        while not _take(handle):
            if not told:
                wait()
                told = True
            if time.monotonic() > deadline:
                raise Conflict(
                    f"Another process has been building the environment {name} for {seconds:g} s and more. End it, or "
                    "launch again later."
                )
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(handle)


def is_held(shelf: Shelf, name: str) -> bool:
    """Whether somebody who lives holds it."""
    if not (shelf.held / name).exists():
        return False
    handle = _open(shelf, name)
    try:
        return not _take(handle)
    finally:
        os.close(handle)


@contextmanager
def workspace(shelf: Shelf, token: str = "") -> Iterator[Path]:
    """A folder for something half made, removed in the end, and by `sweep` when this process was killed."""
    token = token or new_token()
    folder = shelf.root / f"{BUILDING}{token}"
    handle = _take_first(shelf, token)  # before the folder is there, so that nobody takes it for one of the dead
    try:
        yield private_folder(folder)
    finally:
        with suppress(OSError):
            remove_tree(folder)
            (shelf.held / token).unlink(missing_ok=True)
        os.close(handle)


def new_token() -> str:
    return secrets.token_hex(TOKEN_BYTES)


def put_away(shelf: Shelf, folder: Path) -> None:
    """Removes something complete: it is gone at once, its files soon. Raises OSError."""
    aside = shelf.root / f"{REMOVING}{new_token()}"
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    remove_tree(aside)


def sweep(shelf: Shelf) -> int:
    """Removes what processes left behind that are gone; how much of it there was. What resists waits for the next."""
    gone = [folder for folder in shelf.root.glob(f"{BUILDING}*") if not is_held(shelf, folder.name[len(BUILDING) :])]
    gone += shelf.root.glob(f"{REMOVING}*")
    for folder in gone:
        with suppress(OSError):
            remove_tree(folder)
    for file in shelf.held.glob("*"):
        if len(file.name) == 2 * TOKEN_BYTES and not is_held(shelf, file.name):
            file.unlink(missing_ok=True)
    return len(gone)


def discard(shelf: Shelf, token: str) -> None:
    """Removes the workspace of a process that was ended."""
    with suppress(OSError):
        remove_tree(shelf.root / f"{BUILDING}{token}")
        (shelf.held / token).unlink(missing_ok=True)


def _open(shelf: Shelf, name: str) -> int:
    private_folder(shelf.root)
    shelf.held.mkdir(exist_ok=True)
    return os.open(shelf.held / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take_first(shelf: Shelf, token: str) -> int:
    """The lock of a name that is only ours. Somebody who sweeps may look at it just then, and unlink it."""
    while True:
        handle = _open(shelf, token)
        if _take(handle):
            with suppress(OSError):
                if os.fstat(handle).st_ino == (shelf.held / token).stat().st_ino:
                    return handle
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
