"""A worker that does nothing but say what became of it: what checks of clusters start.

`python -m enginehouse.testing.probe SOCKET [DEED...]` listens on a Unix socket. Every GET is answered 200 with JSON:
pid, child (the process that it started, None without `child`), folder (where it was started), and the variables that
begin with PROBE_. `GET /end/7` ends it with status 7. At SIGTERM it says so and goes. Deeds: `child` starts a process
of its own; `stay` does not go at SIGTERM; `fail` ends it at once with status 3.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, TextIO

SLEEP = ("sleep", "600")  # longer than any check; whoever forgets it, it ends
FAILED = 3
HEARD, GOING = "probe: SIGTERM, and it stays", "probe: SIGTERM, and it goes"


def main(arguments: Sequence[str]) -> int:
    """The exit status that it was told to end with."""
    path, *deeds = arguments
    signal.signal(signal.SIGTERM, _stay if "stay" in deeds else _go)
    _write(sys.stdout, "probe: out")
    _write(sys.stderr, "probe: err")
    if "fail" in deeds:
        return FAILED
    child = subprocess.Popen(SLEEP) if "child" in deeds else None
    return _serve(path, child.pid if child else None)


def _write(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def _stay(number: int, frame: object) -> None:
    _write(sys.stdout, HEARD)


def _go(number: int, frame: object) -> None:
    _write(sys.stdout, GOING)
    sys.exit(0)


def _serve(path: str, child: int | None) -> int:
    """Until it is told to end: with what status."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108 - of a path given as text
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                asked = connection.recv(65_536).split(b" ")[1:2]
                connection.sendall(_page(child))
                if asked and asked[0].startswith(b"/end/"):
                    return int(asked[0].rpartition(b"/")[2])


def _page(child: int | None) -> bytes:
    variables = {name: value for name, value in os.environ.items() if name.startswith("PROBE_")}
    told: dict[str, Any] = {"pid": os.getpid(), "child": child, "folder": os.getcwd(), "variables": variables}  # noqa: PTH109
    body = json.dumps(told).encode()
    return b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
