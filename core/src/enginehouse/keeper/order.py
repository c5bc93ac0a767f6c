"""What a keeper is told: the fields of order.json (sdk.WorkerOrder) that concern it, read without the sdk."""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ORDER_FILE = "order.json"


class OrderError(Exception):
    """The order cannot be read; the text says why."""


class Order:
    """One worker to keep. Times in seconds, log_bytes for worker.log and worker.log.1 together."""

    __slots__ = (
        "argv",
        "claim_seconds",
        "control",
        "drain_seconds",
        "environment",
        "folder",
        "lease_seconds",
        "log_bytes",
        "socket",
        "token",
        "worker_id",
    )

    def __init__(self, folder: str, fields: dict[str, Any]) -> None:
        self.folder = folder
        self.worker_id = str(fields["worker_id"])
        self.token = str(fields["token"])
        self.socket = str(fields["socket"])
        self.control = str(fields["control"])
        self.argv = [str(word) for word in fields["argv"]]
        if not self.argv:
            raise ValueError("argv is empty")
        self.environment = {str(name): str(value) for name, value in (fields.get("environment") or {}).items()}
        self.lease_seconds = float(fields.get("lease_seconds", 600.0))
        self.claim_seconds = float(fields.get("claim_seconds", 30.0))
        self.drain_seconds = float(fields.get("drain_seconds", 30.0))
        self.log_bytes = int(fields.get("log_bytes", 10_000_000))


def read_order(folder: str) -> Order:
    """Reads FOLDER/order.json. Raises OrderError."""
    path = os.path.join(folder, ORDER_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        return Order(folder, fields)
    except OSError as error:
        raise OrderError(f"the order {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OrderError(f"the order {path} makes no sense: {error!r}") from error
