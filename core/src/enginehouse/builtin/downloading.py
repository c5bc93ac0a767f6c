"""What the downloading processes share: which files, room on the disk, resume, checksums, and what they say.

Runs only in a child of the server (see `hub`); says lines of JSON on stdout: {"event": "file", "file", "done",
"total"}, {"event": "waiting", "seconds", "why"}, {"event": "failed", "code", "message"}, {"event": "done"}.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

import msgspec

from ..sdk import BadRequest, EnginehouseError, HubReference, LaunchFailed, Manifest, read_manifest, write_manifest
from ..sdk.sources import MANIFEST_FILE

PARTIAL_FOLDER = ".partial"
SAY_SECONDS = 0.2  # between two lines about one file: quicker than anybody reads
SPARE_BYTES = 64 * 2**20  # left free on the disk, for the logs and the database beside
HASH_BYTES = 8 * 2**20
FILES_AT_ONCE = 4  # one connection seldom fills a fast line, and many make a hub angry

_OTHER_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".tflite", ".ot", ".mlmodel")
_OTHER_FOLDERS = ("onnx", "openvino", "coreml", "original", "flax", "tf", "metal")


class RemoteFile(NamedTuple):
    """A file on a hub. sha256, git_sha1: its checksums as the hub says, where it does."""

    name: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None

    @property
    def identity(self) -> str:
        """Names the partial file: another for other content, and whatever the hub sends, a plain name."""
        return hashlib.sha256(f"{self.name} {self.size} {self.sha256} {self.git_sha1}".encode()).hexdigest()


class Listing(NamedTuple):
    """All files of a repository at a commit."""

    commit: str
    files: tuple[RemoteFile, ...]


Download = Callable[[RemoteFile, "Target"], None]
"""Writes the rest of a file into its target, from `target.held` on. Raises whatever the library raises."""


class Mouth:
    """Speaks to the server's process, a line at a time. stream: stdout, until `run` keeps it from the libraries."""

    def __init__(self) -> None:
        self.stream: BinaryIO = sys.stdout.buffer
        self._speaking = threading.Lock()

    def say(self, event: str, fields: dict[str, object]) -> None:
        line = msgspec.json.encode({"event": event, **fields}) + b"\n"
        with self._speaking:
            self.stream.write(line)
            self.stream.flush()

    def keep_to_itself(self) -> None:
        """What a library prints goes to stderr from now on: only lines of ours are the server's to read."""
        self.stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)


_mouth = Mouth()


def say(event: str, **fields: object) -> None:
    """One line to the server's process."""
    _mouth.say(event, fields)


def run(fetch: Callable[[Path, str], None], arguments: list[str]) -> NoReturn:
    """A child's life: fetches `arguments` (folder, reference) and says how it ended."""
    _mouth.keep_to_itself()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        fetch(Path(arguments[0]), arguments[1])
    except EnginehouseError as error:
        say("failed", code=error.code, message=error.message)
    except Exception as error:  # noqa: BLE001 - a hub's library may raise anything, and the server must hear it
        say("failed", code=LaunchFailed.code, message=f"{arguments[1]} could not be downloaded: {name_error(error)}")
    else:
        say("done")
    os._exit(0)  # without waiting for other files that are still on their way


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(1)  # the server has gone: nobody waits for this download


def name_error(error: BaseException) -> str:
    """An error of a library in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def fetch_files(uri: str, reference: HubReference, listing: Listing, folder: Path, download: Download) -> None:
    """Brings what `reference` wants of `listing` into `folder`. Raises BadRequest, LaunchFailed, what `download` does.

    Leaves a manifest that says complete only when every file's size and checksum agreed.
    """
    wanted = choose_files(reference, listing.files)
    manifest = Manifest(
        uri=uri,
        commit=listing.commit,
        files={file.name: file.size for file in wanted},
        listing={file.name: file.size for file in listing.files},
    )
    before = read_manifest(folder)
    missing = [file for file in wanted if not _is_held(folder, file, before, listing.commit)]
    _check_room(folder, missing)
    write_manifest(folder, manifest)
    for file in wanted:
        say("file", file=file.name, done=0 if file in missing else file.size, total=file.size)
    _fetch_all(missing, folder, download)
    shutil.rmtree(folder / PARTIAL_FOLDER, ignore_errors=True)
    write_manifest(folder, msgspec.structs.replace(manifest, complete=True))


def _fetch_all(files: Iterable[RemoteFile], folder: Path, download: Download) -> None:
    """Several at once; the first that fails stops those not begun."""
    pool = ThreadPoolExecutor(FILES_AT_ONCE)
    fetches = [pool.submit(_fetch_file, file, folder, download) for file in files]
    try:
        for fetch in as_completed(fetches):
            fetch.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # those begun end with this process


def choose_files(reference: HubReference, files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files wanted. Without patterns: all but weights that are there a second time in another form.

    Raises BadRequest when patterns match nothing, or when they are needed: several GGUF files are several models.
    """
    all_files = tuple(file for file in files if not Path(file.name).name.startswith(".git"))
    for file in all_files:
        _check_name(file.name)
    if reference.patterns:
        chosen = tuple(file for file in all_files if reference.wants(file.name))
        if not chosen:
            wanted = _list(reference.patterns)
            raise BadRequest(f"No file of {reference.repository} matches {wanted}. {_have(all_files)}")
        return chosen
    with_safetensors = {_parent(file.name) for file in all_files if file.name.endswith(".safetensors")}
    if not with_safetensors:
        _refuse_choice_of_gguf(reference, all_files)
        return all_files
    return tuple(file for file in all_files if not _is_other_form(file.name, with_safetensors))


def _check_name(name: str) -> None:
    """A hub, or whoever speaks for it, must not write outside the folder, nor what is ours in it."""
    parts = name.split("/")
    if not name or "\\" in name or "\0" in name or parts[0] in ("", PARTIAL_FOLDER, MANIFEST_FILE) or ".." in parts:
        raise LaunchFailed(f"The hub lists a file {name!r}, which is no name to be trusted; nothing was downloaded.")


def _is_other_form(name: str, with_safetensors: set[str]) -> bool:
    if name.partition("/")[0] in _OTHER_FOLDERS and "/" in name:
        return True
    return name.endswith(".gguf") or (name.endswith(_OTHER_SUFFIXES) and _parent(name) in with_safetensors)


def _refuse_choice_of_gguf(reference: HubReference, files: Iterable[RemoteFile]) -> None:
    models = [file for file in files if file.name.endswith(".gguf") and "-of-" not in file.name]
    if len(models) > 1:
        raise BadRequest(
            f"{reference.repository} holds {len(models)} GGUF files; say which, e.g. "
            f"{reference.repository}#{models[0].name}. {_have(models)}"
        )


def _have(files: Iterable[RemoteFile]) -> str:
    names = [file.name for file in files]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"It has {_list(names[:20])}{more}."


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _is_held(folder: Path, file: RemoteFile, before: Manifest | None, commit: str) -> bool:
    """Whether an earlier fetch into this folder brought it.

    Files are moved there only once their checksum agreed, so at the same commit the size is enough.
    """
    place = folder / file.name
    if before is None or file.name not in before.files or not place.is_file():
        return False
    return place.stat().st_size == file.size if before.commit == commit else _agrees(place, file)


def _check_room(folder: Path, missing: Iterable[RemoteFile]) -> None:
    needed = sum(file.size - _partial_size(folder, file) for file in missing)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise LaunchFailed(
            f"The download needs {needed:,} bytes, the disk of {folder} has {free:,} free. Make room, e.g. with "
            "`enginehouse cached` and `enginehouse remove-cache`, or give ENGINEHOUSE_HOME on a larger disk."
        )


def _partial_size(folder: Path, file: RemoteFile) -> int:
    partial = folder / PARTIAL_FOLDER / file.identity
    return partial.stat().st_size if partial.is_file() else 0


class Target:
    """The partial file that a download writes into: what a library needs of a binary stream, and what it tells."""

    def __init__(self, file: RemoteFile, stream: BinaryIO) -> None:
        self.file = file
        self.held = stream.seek(0, os.SEEK_END)
        self._stream = stream
        self._said = 0.0

    def write(self, data: bytes) -> int:
        written = self._stream.write(data)
        self.held += written
        if time.monotonic() - self._said > SAY_SECONDS:
            self._said = time.monotonic()
            say("file", file=self.file.name, done=self.held, total=self.file.size)
        return written

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        self.held = self._stream.truncate(size)
        return self.held

    def flush(self) -> None:
        self._stream.flush()


def _fetch_file(file: RemoteFile, folder: Path, download: Download) -> None:
    """One file: the rest of it, then its checksum. What was resumed and is wrong is fetched once more, whole."""
    partial = folder / PARTIAL_FOLDER / file.identity
    partial.parent.mkdir(exist_ok=True)
    for resumed in _attempts(partial, file):
        with partial.open("ab") as stream:
            target = Target(file, stream)
            if target.held < file.size:
                download(file, target)
        if _agrees(partial, file):
            break
        partial.unlink()
        if not resumed:
            raise LaunchFailed(
                f"{file.name} came with a checksum other than the hub's ({file.sha256 or file.git_sha1 or file.size}); "
                "it was thrown away. A proxy or mirror between may be at fault; launch again to try once more."
            )
    place = folder / file.name
    place.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(place)
    say("file", file=file.name, done=file.size, total=file.size)


def _attempts(partial: Path, file: RemoteFile) -> Iterator[bool]:
    """Whether this attempt goes on from an earlier one's bytes; after one that does there is one more."""
    if partial.is_file() and partial.stat().st_size > file.size:
        partial.unlink()
    if partial.is_file() and partial.stat().st_size:
        yield True
    yield False


def _agrees(place: Path, file: RemoteFile) -> bool:
    if place.stat().st_size != file.size:
        return False
    if file.sha256:
        return _digest(place, hashlib.sha256(), file) == file.sha256
    if file.git_sha1:
        return _digest(place, hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False), file) == file.git_sha1
    return True


def _digest(place: Path, digest: hashlib._Hash, file: RemoteFile) -> str:
    said = time.monotonic()
    with place.open("rb") as stream:
        while data := stream.read(HASH_BYTES):
            digest.update(data)
            if time.monotonic() - said > SAY_SECONDS:  # reading tens of gigabytes is no silence
                said = time.monotonic()
                say("file", file=file.name, done=file.size, total=file.size)
    return digest.hexdigest()
