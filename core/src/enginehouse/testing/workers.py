"""A worker under a real keeper, without a server: a model in a process of its own, for tests of one engine."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec

from ..sdk import ExitRecord, RunnerOrder, WorkerOrder
from .waiting import wait_for

READY_SECONDS = 90.0  # importing torch on a busy machine
STOP_SECONDS = 20.0  # what a test's worker may take to drain, close and be reaped
ANSWER_SECONDS = 30.0
CONTROL_SECONDS = 20.0  # a keeper answers at once; a machine that swaps takes longer
WORDS = 3000  # characters at the end of a log that a failure shows
RUNNER = "enginehouse.runner"


class KeptWorker:
    """A worker and its keeper. `client` speaks HTTP on the worker's socket.

    folder: short, because a socket's path may have about a hundred bytes.
    """

    def __init__(self, order: WorkerOrder) -> None:
        self.order = order
        self.folder = Path(order.folder)
        self.client = httpx.Client(
            transport=httpx.HTTPTransport(uds=order.socket), base_url="http://worker", timeout=ANSWER_SECONDS
        )
        (self.folder / "order.json").write_bytes(msgspec.json.encode(order))
        self.keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "enginehouse.keeper", order.folder],
            cwd=order.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._line: socket.socket | None = None
        self.pid = 0

    def claim(self) -> KeptWorker:
        """Claims the worker as a server does; from then on it lives until it is ended."""
        line = wait_for(self._connected, CONTROL_SECONDS, "the keeper's control socket")
        self._line = line
        hello = self._said({"do": "claim", "token": self.order.token})
        assert hello.get("event") == "hello", f"the keeper refused the claim: {hello}"
        self.pid = int(hello["worker_pid"])
        return self

    def ready(self) -> KeptWorker:
        """Waits until the model is loaded. Raises AssertionError with the worker's last words when it is not."""
        wait_for(self._is_ready, READY_SECONDS, "the worker's readiness")
        return self

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/health").json())

    def metrics(self) -> str:
        return self.client.get("/metrics").text

    def complete(self, prompt: str | list[int] = "hi", **fields: Any) -> httpx.Response:
        return self.client.post("/v1/completions", json={"model": self.order.model_uid, "prompt": prompt, **fields})

    def chat(self, content: str = "hi", **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": content}]
        body = {"model": self.order.model_uid, "messages": messages, **fields}
        return self.client.post("/v1/chat/completions", json=body)

    def log(self) -> str:
        """What the worker printed so far."""
        file = self.folder / "worker.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def exit(self, seconds: float = STOP_SECONDS) -> ExitRecord:
        """How the worker ended, once it has."""
        self.keeper.wait(seconds)
        return msgspec.json.decode((self.folder / "exit.json").read_bytes(), type=ExitRecord)

    def stop(self, grace: float = 5.0) -> ExitRecord:
        """Drains and ends the worker, as a server does: SIGTERM, after `grace` seconds SIGKILL."""
        if self.keeper.poll() is None and self._line:
            with contextlib.suppress(OSError):
                self._line.sendall(json.dumps({"do": "stop", "grace": grace}).encode() + b"\n")
        return self.exit(grace + STOP_SECONDS)

    def end(self) -> None:
        """Whatever state it is in: nothing of it is left."""
        self.client.close()
        if self.keeper.poll() is None:
            self.keeper.terminate()
            try:
                self.keeper.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.keeper.kill()
                self.keeper.wait(STOP_SECONDS)
        if self._line:
            self._line.close()
        assert self.keeper.stderr is not None
        self.keeper.stderr.close()

    def _connected(self) -> socket.socket | None:
        assert self.keeper.poll() is None, f"the keeper ended: {self._keepers_words()}"
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(CONTROL_SECONDS)
        try:
            line.connect(self.order.control)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):  # not there yet, or its backlog is full
            line.close()
            return None
        return line

    def _keepers_words(self) -> str:
        assert self.keeper.stderr is not None
        return self.keeper.stderr.read().decode(errors="replace")[-WORDS:]

    def _said(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._line is not None
        self._line.sendall(json.dumps(message).encode() + b"\n")
        with self._line.makefile("rb") as lines:
            return dict(json.loads(lines.readline() or b"{}"))

    def _is_ready(self) -> bool:
        assert self.keeper.poll() is None, f"the worker ended while it loaded: {self.log()[-WORDS:]}"
        try:
            return self.client.get(self.order.health).status_code == 200
        except httpx.TransportError:
            return False


def simulated_order(folder: Path, script: dict[str, Any], **fields: Any) -> WorkerOrder:
    """An order for the simulated engine. script: its options; fields: of `RunnerOrder`."""
    runner: dict[str, Any] = {
        "engine": "enginehouse_fake.engine:FakeEngine",
        "options": "enginehouse_fake.options:FakeOptions",
        "tasks": ("chat", "generate"),
        "abilities": ("chat", "generate"),
        "context_length": 4096,
        "model_path": str(folder),
        "device": "cpu",
        **fields,
    }
    return order_for(folder, RunnerOrder(option_values=script, **runner))


def order_for(folder: Path, runner: RunnerOrder, model_uid: str = "model") -> WorkerOrder:
    """The order of a worker in `folder`, run by this interpreter."""
    return WorkerOrder(
        worker_id=secrets.token_hex(6),
        model_uid=model_uid,
        token=secrets.token_hex(16),
        folder=str(folder),
        socket=str(folder / "http.sock"),
        control=str(folder / "keeper.sock"),
        argv=(sys.executable, "-P", "-m", RUNNER, str(folder)),
        runner=runner,
    )
