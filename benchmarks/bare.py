"""Runs what works without a server, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from house import environment

LEAVE_SECONDS = 30.0


class Bare(NamedTuple):
    """A bare process with a loaded model. started: seconds from its exec to the model being loaded."""

    process: subprocess.Popen[str]
    started: float
    threads: int

    def generate(self, prompts: list[str], tokens: int) -> dict[str, Any]:
        """Seconds and tokens of each prompt's answer, one after another."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"prompts": prompts, "tokens": tokens}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextlib.contextmanager
def bare_process(folder: Path, threads: int = 0) -> Iterator[Bare]:
    """threads: of PyTorch; 0 leaves its own choice."""
    began = time.perf_counter()
    with beside("plain.py", str(folder), str(threads)) as (process, line):
        yield Bare(process, time.perf_counter() - began, json.loads(line)["threads"])


@contextlib.contextmanager
def beside(script: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A script of this folder in a process of its own, once it has said that it is ready, and what it said."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(script)), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{script} ended while it loaded the model")
        yield process, line
    finally:
        process.communicate(timeout=LEAVE_SECONDS)


def stoker_folder() -> Path:
    """Where the miniature chat model's weights lie."""
    found = importlib.util.find_spec("enginehouse_miniatures")
    if found is None or found.origin is None:
        raise RuntimeError("install plugins/miniatures first")
    return Path(found.origin).parent / "models" / "stoker"
