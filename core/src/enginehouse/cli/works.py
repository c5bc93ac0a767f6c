"""Works of the server as the command line sees them: waited for, shown, ended by Ctrl-C."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .failures import Refused
from .launching import POLL_SECONDS, shown_progress

if TYPE_CHECKING:
    from ..client import Client

OVER = ("done", "failed", "cancelled")


def await_work(client: Client, work: dict[str, Any]) -> dict[str, Any]:
    """The result of a work, once it is done. The server bounds it. Raises Refused with the reason when it fails."""
    with shown_progress(f"{work['act']} {work['about']}") as show:
        try:
            while work["state"] not in OVER:
                show(work["progress"], work["stage"])
                time.sleep(POLL_SECONDS)
                work = client.get_environment_work(work["work_id"])
        except KeyboardInterrupt:
            client.cancel_environment_work(work["work_id"])
            raise
    if work["state"] == "done":
        return dict(work["result"])
    raise Refused((work["error"] or {}).get("message") or f"The {work['act']} was cancelled.")
