"""Why a worker could not load, told in the words of whoever knew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from enginehouse_vllm.serve import _explained, main

LOG = """
(EngineCore pid=7) INFO loading
(EngineCore pid=7) ValueError: No available memory for the cache blocks. Try increasing it.
(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_what_the_engines_process_said_is_told(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(LOG)
    told = _explained(RuntimeError("Engine core initialization failed. See root cause above."), tmp_path)
    assert "No available memory for the cache blocks" in str(told)


def test_other_errors_speak_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text(LOG)
    error = ValueError("no such model")
    assert _explained(error, tmp_path) is error
    vague = RuntimeError("Engine core initialization failed.")
    assert _explained(vague, tmp_path / "nowhere") is vague


def test_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2 and "usage" in capsys.readouterr().err


def test_a_folder_without_an_order_says_why(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main([str(tmp_path)]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "order.json" in (tmp_path / "failure.json").read_text()


def test_sigterm_ends_a_worker_that_loads(tmp_path: Path) -> None:
    """The order is a pipe that nobody writes to, which stands for any wait."""
    os.mkfifo(tmp_path / "order.json")
    command = [
        sys.executable,
        "-c",
        f"print(1, flush=True); from enginehouse_vllm.serve import main; main([{str(tmp_path)!r}])",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while _handler_of(process.pid) != "caught" and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def _handler_of(pid: int) -> str:
    """Whether a process catches SIGTERM."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return "caught" if caught >> (signal.SIGTERM - 1) & 1 else ""
