"""Log lines of the server and of its workers: for people, or one JSON object a line for machines. No URL in them shows
a password, whoever wrote it."""

from __future__ import annotations

import json
import logging
import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from .credentials import hide_credentials, in_every_text

VARIABLE = "ENGINEHOUSE_LOG_FORMAT"
"""`json`, else lines for people. Workers inherit it from their server."""

REQUEST_ID: ContextVar[bytes | str | None] = ContextVar("request_id", default=None)
"""The request that is being answered; a line written meanwhile names it."""

_PLAIN = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """{"time", "level", "logger", "message"}, and "request_id" and "exception" where there is one.

    time: UTC, as ISO 8601 with milliseconds. exception: the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = REQUEST_ID.get()
        if request_id:
            line["request_id"] = request_id.decode("latin-1") if isinstance(request_id, bytes) else request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(in_every_text(hide_credentials, line), ensure_ascii=False)


class PlainLines(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__(_PLAIN)

    def format(self, record: logging.LogRecord) -> str:
        return hide_credentials(super().format(record))


def begin_logging(level: str | int = logging.INFO) -> None:
    """Lets this process write its log to stderr, in the format that ENGINEHOUSE_LOG_FORMAT says."""
    handler = logging.StreamHandler()
    wants_json = os.environ.get(VARIABLE, "").lower() == "json"
    handler.setFormatter(JsonLines() if wants_json else PlainLines())
    logging.basicConfig(level=level, handlers=[handler])
