"""Real keepers with small real workers, in a folder of their own each."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BOUND = 20.0  # seconds; everything waited for here takes less than three on a quiet machine
TOKEN = "right-token"


def wait_until(holds: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        value = holds()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {BOUND} s: {what}")


class Line:
    """A connection to a keeper's control socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(BOUND)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")

    def say(self, **message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next event; {} at end-of-file."""
        try:
            line = self._file.readline()
        except ConnectionResetError:
            return {}
        return json.loads(line) if line else {}

    def claim(self, token: str = TOKEN) -> dict[str, Any]:
        self.say(do="claim", token=token)
        return self.hear()

    def exit(self) -> dict[str, Any]:
        event = self.hear()
        assert event["event"] == "exited", event
        record: dict[str, Any] = event["exit"]
        return record

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class Kept:
    """A keeper under test."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], lines: list[Line]) -> None:
        self.folder, self.process, self._lines = folder, process, lines

    def connect(self) -> Line:
        def attempt() -> Line | None:
            try:
                return Line(self.folder / "control.sock")
            except (
                FileNotFoundError,
                ConnectionRefusedError,
                BlockingIOError,
            ):  # not there yet, or its backlog is full
                return None

        line: Line = wait_until(attempt, "the control socket answers")
        self._lines.append(line)
        return line

    def claimed(self) -> Line:
        line = self.connect()
        assert line.claim()["event"] == "hello"
        return line

    def ending(self) -> dict[str, Any]:
        """The exit record, heard by a claim that may come before the worker's end or after it."""
        line = self.connect()
        event = line.claim()
        record: dict[str, Any] = event["exit"] if event["event"] == "exited" else line.exit()
        return record

    def wait(self) -> int:
        return self.process.wait(BOUND)

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.folder / "exit.json").read_text())
        return record

    def read(self, name: str) -> str:
        """A file that the worker writes, once it is there and not empty."""
        path = self.folder / name

        def content() -> str:
            return path.read_text() if path.exists() else ""

        text: str = wait_until(content, f"{name} is written")
        return text


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        if Path("/proc").is_dir():
            return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket's path is."""
    path = Path(tempfile.mkdtemp(prefix="keeper-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def keep(folder: Path) -> Iterator[Callable[..., Kept]]:
    """keep(argv or a shell script, **order fields) starts a keeper; at the end nothing of it is left."""
    kept: list[Kept] = []
    lines: list[Line] = []

    def start(command: str | list[str], **fields: Any) -> Kept:
        order = {
            "worker_id": "w1",
            "model_uid": "m",
            "token": TOKEN,
            "folder": str(folder),
            "socket": str(folder / "http.sock"),
            "control": str(folder / "control.sock"),
            "argv": ["/bin/sh", "-c", command] if isinstance(command, str) else command,
            **fields,
        }
        (folder / "order.json").write_text(json.dumps(order))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "enginehouse.keeper", str(folder)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        kept.append(Kept(folder, process, lines))
        return kept[-1]

    yield start
    for line in lines:
        line.close()
    for each in kept:
        _end(each.process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=1)
    except subprocess.TimeoutExpired:  # its worker ignores SIGTERM; a keeper killed takes python workers along
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=BOUND)


@pytest.fixture
def soon() -> Callable[[Callable[[], Any], str], Any]:
    return wait_until


@pytest.fixture
def alive() -> Callable[[int], bool]:
    return is_alive
