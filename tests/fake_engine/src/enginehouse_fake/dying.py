"""What a process leaves on its connections when it is killed in the midst of a write."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

_HALF = b'100\r\ndata: {"choices": [{"text": "hal'  # an HTTP chunk of 256 bytes, of which few ever come


def write_half_an_event() -> None:
    """Writes the beginning of an event to every connection that this process has accepted."""
    for entry in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError, ValueError):
            with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                if connection.getpeername() == "" and str(connection.getsockname()).endswith("http.sock"):
                    connection.sendall(_HALF)
