"""`python -m enginehouse.runner FOLDER`: hosts the engine that FOLDER/order.json names."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..sdk import WorkerOrder
from ..sdk.logs import begin_logging
from .calls import ENGINE_THREAD
from .lifecycle import live, write_failure

try:
    import uvloop
except ImportError:
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

EXIT_SECONDS = 2.0  # the interpreter gets so long to tear down; a library's threads may never end


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 after a drain, 1 when the model could not be loaded, 2 for a wrong call."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m enginehouse.runner FOLDER\n")
        return 2
    begin_logging()
    folder = Path(arguments[0])
    try:
        order = msgspec.json.decode((folder / "order.json").read_bytes(), type=WorkerOrder)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(live(order, folder))
    except Exception as error:  # noqa: BLE001 - the last border: whatever it was, the host shall read why
        write_failure(folder, error)
        return 1


def leave(status: int) -> None:
    """Exits, at the latest after EXIT_SECONDS.

    With a thread still inside the engine at once: tearing down an interpreter under native code can crash it.
    """
    sys.stdout.flush()
    if any(thread.name.startswith(ENGINE_THREAD) for thread in threading.enumerate()):
        os._exit(status)
    last = threading.Timer(EXIT_SECONDS, os._exit, (status,))
    last.daemon = True
    last.start()
    sys.exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
