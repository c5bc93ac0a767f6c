"""Sources `hf` and `modelscope`: the half that runs in the server's process.

The download is a child process of its own: the hubs' libraries are never imported here, a cancel is a kill, and a
library that hangs is ended when no byte came for a while.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..sdk import (
    BadRequest,
    EnginehouseError,
    FetchProgress,
    LaunchFailed,
    ModelNotFound,
    NotAllowed,
    parse_hub_reference,
    read_manifest,
)

SILENCE_SECONDS = 120.0  # longest silence: beyond it a connection is dead, whatever TCP still believes
BEAT_SECONDS = 0.5  # how often a fetch without news asks whether it is still wanted
END_SECONDS = 5.0  # a killed child is gone in milliseconds; a disk that hangs may hold it
TOLD_LINES = 5  # of what a child complained, for the error
LOG_FILE = ".download.log"

_ERRORS: dict[str, type[EnginehouseError]] = {
    kind.code: kind for kind in (BadRequest, ModelNotFound, NotAllowed, LaunchFailed)
}


class Hub(NamedTuple):
    """scheme: of its URIs; library: import name; package: what to install; module: the child's."""

    scheme: str
    title: str
    library: str
    package: str
    module: str


HUGGING_FACE = Hub("hf", "Hugging Face", "huggingface_hub", "huggingface-hub", "enginehouse.builtin.hugging_face")
MODEL_SCOPE = Hub("modelscope", "ModelScope", "modelscope_hub", "modelscope-hub", "enginehouse.builtin.model_scope")


def fetch_hugging_face(reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    """`hf:org/name[@revision][#pattern,...]`."""
    return _fetch(HUGGING_FACE, reference, folder, report)


def fetch_model_scope(reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    """`modelscope:org/name[@revision][#pattern,...]`."""
    return _fetch(MODEL_SCOPE, reference, folder, report)


def _fetch(hub: Hub, reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> Path:
    parse_hub_reference(reference)
    held = _held(folder)
    if held is None:
        _check_may_download(hub, reference)
        try:
            _download(hub, reference, folder, report)
        finally:
            if read_manifest(folder) is None:  # the hub refused: there is nothing to go on from
                shutil.rmtree(folder, ignore_errors=True)
        held = _held(folder)
    if held is None:
        raise LaunchFailed(f"The download of {hub.scheme}:{reference} ended, but files are missing in {folder}.")
    return held


def _held(folder: Path) -> Path | None:
    """The weights, when all are here: the folder, or the file where it is the only one."""
    manifest = read_manifest(folder)
    if manifest is None or not manifest.complete:
        return None
    for name, size in manifest.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != size:
            return None
    return folder / next(iter(manifest.files)) if len(manifest.files) == 1 else folder


def _check_may_download(hub: Hub, reference: str) -> None:
    for variable in ("ENGINEHOUSE_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(variable, "").lower() in {"1", "true", "yes", "on"}:
            raise LaunchFailed(
                f"{hub.scheme}:{reference} is not on this machine, and {variable} forbids to download it. Unset it, or "
                "give the folder of the weights with model_path."
            )
    if importlib.util.find_spec(hub.library) is None:
        raise LaunchFailed(
            f"{hub.scheme}:{reference} comes from {hub.title}, whose library is not installed: "
            f"pip install {hub.package}, and restart the server."
        )


def _download(hub: Hub, reference: str, folder: Path, report: Callable[[FetchProgress], None]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / LOG_FILE
    with _child(hub, reference, folder, log) as child:
        for event in _events(child, report):
            if event["event"] == "file":
                report(FetchProgress(file=event["file"], done_bytes=event["done"], total_bytes=event["total"]))
            elif event["event"] == "failed":
                raise _ERRORS.get(event["code"], LaunchFailed)(event["message"])
            elif event["event"] == "done":
                return log.unlink(missing_ok=True)
        status = child.wait(END_SECONDS)
        raise LaunchFailed(f"The download of {hub.scheme}:{reference} broke off with status {status}: {_tail(log)}")


@contextmanager
def _child(hub: Hub, reference: str, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The downloading process. It ends with the block, and by itself when this process dies: its stdin closes."""
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", hub.module, str(folder), reference],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C at the server is the server's to handle
        )
    try:
        yield child
    finally:
        child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a disk that hangs holds it; nobody waits for it here
            child.wait(END_SECONDS)
        assert child.stdin is not None
        child.stdin.close()


def _events(child: subprocess.Popen[bytes], report: Callable[[FetchProgress], None]) -> Iterator[dict[str, Any]]:
    """What the child says, to its end. Asks at every beat whether the fetch is still wanted; LaunchFailed after too
    long a silence."""
    lines = _read_beside(child)
    silence = silence_seconds()
    deadline, why = time.monotonic() + silence, ""
    last: dict[str, FetchProgress] = {}
    while True:
        try:
            line = lines.get(timeout=BEAT_SECONDS)
        except queue.Empty:
            report(next(reversed(last.values()), FetchProgress(file="", done_bytes=0)))
            if time.monotonic() > deadline:
                raise LaunchFailed(
                    f"Nothing came for {silence:g} s (ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS) while downloading "
                    f"{_unfinished(last.values())}{why}. What came is kept: launch again to go on from there."
                ) from None
            continue
        if not line:
            return
        event = msgspec.json.decode(line)
        deadline = time.monotonic() + silence
        if event["event"] == "file":
            last[event["file"]] = FetchProgress(
                file=event["file"], done_bytes=event["done"], total_bytes=event["total"]
            )
        elif event["event"] == "waiting":
            deadline, why = deadline + event["seconds"], f"; before that: {event['why']}"
        yield event


def _unfinished(files: Iterable[FetchProgress]) -> str:
    return ", ".join(one.file for one in files if one.done_bytes != one.total_bytes) or "the list of files"


def _read_beside(child: subprocess.Popen[bytes]) -> queue.Queue[bytes]:
    """The child's lines, then b"" at its end: read by a thread, for a pipe cannot be read with a time limit."""
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                lines.put(line)
        lines.put(b"")

    threading.Thread(target=read, name=f"download {child.pid}", daemon=True).start()
    return lines


def silence_seconds() -> float:
    """How long a download may be silent: ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS. Raises BadRequest naming it."""
    given = os.environ.get("ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS") or SILENCE_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BadRequest(f"ENGINEHOUSE_DOWNLOAD_SILENCE_SECONDS is {given!r}; it must be a number of seconds.")
    return seconds


def _tail(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").splitlines()[-TOLD_LINES:]) or "it said nothing."
