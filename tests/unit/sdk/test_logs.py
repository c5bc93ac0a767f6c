"""Log lines as JSON."""

from __future__ import annotations

import json
import logging
import sys

from enginehouse.sdk.logs import REQUEST_ID, JsonLines


def line_of(message: str, *arguments: object, failing: bool = False) -> dict[str, str]:
    error = None
    if failing:
        try:
            raise ValueError("broken\nin two")
        except ValueError:
            error = sys.exc_info()
    record = logging.LogRecord("enginehouse.here", logging.WARNING, "file", 1, message, arguments, error)
    text = JsonLines().format(record)
    assert "\n" not in text
    line: dict[str, str] = json.loads(text)
    return line


def test_a_line_is_an_object() -> None:
    line = line_of("it says %r", "ä\n")
    assert list(line) == ["time", "level", "logger", "message"]
    assert line["time"].endswith("+00:00") and line["time"][10] == "T"
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "enginehouse.here", r"it says 'ä\n'")


def test_a_request_is_named_while_it_is_answered() -> None:
    for given in (b"abc", "abc"):
        token = REQUEST_ID.set(given)
        assert line_of("x")["request_id"] == "abc"
        REQUEST_ID.reset(token)
    assert "request_id" not in line_of("x")


def test_a_traceback_stays_on_the_line() -> None:
    assert line_of("x", failing=True)["exception"].endswith("ValueError: broken\nin two")
