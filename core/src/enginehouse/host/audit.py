"""The audit log: one JSON line for each administrative act, done or refused. It never holds a secret or a body."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

from .home import private_folder

FILE_BYTES = 10 * 2**20  # some fifty thousand acts
FILES_KEPT = 9  # beside the one that is written


class Act(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was done. who: the key's name; without a key, how the caller came. on: other parameters of the path.

    status: of the HTTP answer; 499 when the caller did not wait for it. address: the caller's.
    """

    act: str
    who: str
    key_id: str | None = None
    model: str | None = None
    on: dict[str, str] = {}
    method: str = ""
    path: str = ""
    status: int = 0
    address: str | None = None
    request_id: str | None = None


class AuditLog:
    """Appends to `logs/audit.jsonl` of a home, and begins a new file when that is large."""

    def __init__(self, home: Path, file_bytes: int = FILE_BYTES) -> None:
        folder = private_folder(home / "logs")
        self._file = _PrivateFile(
            folder / "audit.jsonl", maxBytes=file_bytes, backupCount=FILES_KEPT, encoding="utf-8", delay=True
        )

    def write(self, act: Act) -> None:
        """A disk that is full costs the line, which goes to the server's log with the reason, never the act."""
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        line = msgspec.json.encode({"ts": now, **msgspec.to_builtins(act)}).decode()
        self._file.handle(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        self._file.close()


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)
