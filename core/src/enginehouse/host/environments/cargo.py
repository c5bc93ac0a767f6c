"""Code of the server's that workers run inside environments: the runner and plugins, as folders named by content.

It is put in front on the worker's path and not into the environment, so that an upgrade of ours makes no environment
anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .distributions import Bill, bill_of, metadata_files, workers_files
from .holding import workspace
from .shelf import DIGEST_LETTERS, Shelf
from .trees import seal


class Cargo(msgspec.Struct, frozen=True, kw_only=True):
    """folder: for the worker's path; requirements: what the code in it needs of others."""

    folder: Path
    requirements: tuple[str, ...]


def load_cargo(names: Iterable[str], shelf: Shelf) -> Cargo:
    """The folder with the code of these distributions and of core as they are now; made when it is not there.

    Reads every file of them: some milliseconds. Raises LaunchFailed, HomeUnusable, OSError.
    """
    bill = bill_of(names)
    contents = _contents(bill)
    folder = shelf.carried / cargo_digest(contents)
    if folder.is_dir():
        folder.touch()  # it is used, for who clears up
    else:
        _write(contents, folder, shelf)
    return Cargo(folder=folder, requirements=bill.requirements)


def cargo_digest(contents: dict[str, bytes]) -> str:
    """The name of a folder with these files in it."""
    lines = [f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in sorted(contents.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGEST_LETTERS]


def _contents(bill: Bill) -> dict[str, bytes]:
    """Files by name; where two distributions have one, the last by name."""
    contents: dict[str, bytes] = {}
    for one in bill.distributions:
        contents |= {file.name: file.place.read_bytes() for file in workers_files(one)}
        contents |= {name: text.encode() for name, text in metadata_files(one).items()}
    return contents


def _write(contents: dict[str, bytes], folder: Path, shelf: Shelf) -> None:
    with workspace(shelf) as space:
        made = space / "carried"
        for name, content in contents.items():
            file = made / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        seal(made)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody made the same at the same time
                raise
