"""`python -m enginehouse.keeper FOLDER`: keeps the worker that FOLDER/order.json describes."""

# pathlib would double the keeper's imports:
# ruff: noqa: PTH100

from __future__ import annotations

import os
import signal
import sys

from .control import SocketInUse
from .keeper import Keeper
from .loop import Loop
from .order import OrderError, read_order


def main(arguments: list[str]) -> int:
    """0 when the worker has ended and was reported; 2 with a line on stderr when there was nothing to keep."""
    if len(arguments) != 1:
        return _complain("give it one folder, with an order.json in it")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it outlives the terminal its server was started from
    folder = os.path.abspath(arguments[0])
    try:
        os.chdir(folder)  # the worker starts there too: a private place for whatever it drops
        order = read_order(folder)
        loop = Loop()
        keeper = Keeper(order, loop)
    except (OrderError, SocketInUse, OSError) as error:
        return _complain(str(error))
    keeper.start()
    loop.run()
    return 0


def _complain(what: str) -> int:
    sys.stderr.write(f"enginehouse.keeper: {what}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
