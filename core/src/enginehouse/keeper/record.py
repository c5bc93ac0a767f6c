"""The exit record: how the worker ended, in the shape of sdk.ExitRecord, and the file it is kept in."""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH105, PTH108, PTH118, PTH123

from __future__ import annotations

import contextlib
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXIT_FILE, FAILURE_FILE = "exit.json", "failure.json"
FAILURE_BYTES = 1_000_000  # read of failure.json at most
MESSAGE_LENGTH, DETAIL_LENGTH = 10_000, 50_000  # characters; the host reads messages of up to 1 MiB
FILE_MODE = 0o600


def read_failure(folder: str) -> dict[str, str] | None:
    """What the runner wrote about its failure, as sdk.Failure; None when there is nothing that makes sense."""
    try:
        with open(os.path.join(folder, FAILURE_FILE), "rb") as file:
            fields = json.loads(file.read(FAILURE_BYTES))
        return make_failure(fields["code"], fields["message"], fields.get("detail", ""))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def make_failure(code: object, message: object, detail: object = "") -> dict[str, str]:
    """A sdk.Failure of bounded length; of the detail its end, where a traceback names the error."""
    return {
        "code": _plain(code)[:MESSAGE_LENGTH],
        "message": _plain(message)[:MESSAGE_LENGTH],
        "detail": _plain(detail)[-DETAIL_LENGTH:],
    }


def write_record(folder: str, record: dict[str, Any]) -> None:
    """Writes FOLDER/exit.json whole or not at all; on a full disk not at all."""
    path = os.path.join(folder, EXIT_FILE)
    temporary = f"{path}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with open(fd, "w", encoding="utf-8") as file:
            json.dump(record, file)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _plain(text: object) -> str:
    """The text without lone surrogates, which JSON can carry and the host's decoder refuses."""
    return str(text).encode("utf-8", "replace").decode()
