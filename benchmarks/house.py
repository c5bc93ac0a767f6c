"""A real `enginehouse serve` in a home of its own, for the time of a benchmark."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

COMMAND = str(Path(sys.executable).parent / "enginehouse")
START_SECONDS = 60.0  # a cold start on a busy machine
STOP_SECONDS = 60.0
ANSWER_SECONDS = 300.0  # a launch imports an engine's libraries
KNOCK_SECONDS = 0.002


class Worker(NamedTuple):
    """A launched model's process."""

    uid: str
    pid: int
    socket: str


class House(NamedTuple):
    """A running server. started: seconds from its exec to the first answer of GET /v1/models. key: an admin key,
    where it asks for keys.
    """

    port: int
    pid: int
    home: Path
    started: float
    key: str = ""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One administrative call. Raises RuntimeError when it is refused."""
        status, data = self._call(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {data[:500]!r}")
        return json.loads(data) if data else None

    def status(self, method: str, path: str) -> int:
        """The status of an administrative call's answer."""
        return self._call(method, path, None)[0]

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            headers = {"content-type": "application/json", "x-api-key": self.key}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def launch(self, **body: Any) -> Worker:
        """Launches a model and waits until it is ready."""
        uid = self.ask("POST", "/v1/models", body)["model_uid"]
        replica = self.ask("GET", f"/v1/models/{uid}/replicas")[0]
        return Worker(uid, replica["pid"], replica["model_address"].removeprefix("unix:"))

    def terminate(self, uid: str) -> None:
        self.ask("DELETE", f"/v1/models/{uid}")


@contextlib.contextmanager
def served(**variables: str) -> Iterator[House]:
    """Starts a server; at the end terminates its models, stops it and removes its home."""
    home = Path(tempfile.mkdtemp(prefix="enginehouse-benchmark-"))
    try:
        with running(home, variables) as house:
            try:
                yield house
            finally:
                for model in house.ask("GET", "/v1/models")["data"]:
                    house.terminate(model["id"])
    finally:
        shutil.rmtree(home, ignore_errors=True)


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would slow Python's start or turn a server's settings."""
    unwanted = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted and "ENGINEHOUSE_" not in key}
    return {**kept, **more}


@contextlib.contextmanager
def running(home: Path, variables: dict[str, str], leaving: signal.Signals = signal.SIGTERM) -> Iterator[House]:
    """A server on a home that is there already, ended by this signal; what it declared stays in the home."""
    port = _free_port()
    log = home / "server.log"
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", str(port), "--log-level", "warning"],
            env=environment(ENGINEHOUSE_HOME=str(home), **variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home,
        )
        try:
            started = _first_answer(process, port, began, log)
            yield House(port, process.pid, home, started, _first_key(log) if wants_key(variables) else "")
        finally:
            _stop(process, leaving)


def _first_answer(process: subprocess.Popen[bytes], port: int, began: float, log: Path) -> float:
    while time.perf_counter() - began < START_SECONDS:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
            with contextlib.closing(connection):
                connection.request("GET", "/v1/models")
                if connection.getresponse().status in (200, 401):
                    return time.perf_counter() - began
        if process.poll() is not None:
            break
        time.sleep(KNOCK_SECONDS)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


def wants_key(variables: dict[str, str]) -> bool:
    return "ENGINEHOUSE_REQUIRE_KEY" in variables


def _first_key(log: Path) -> str:
    """The admin key that a new server prints right after it begins to answer."""
    deadline = time.perf_counter() + START_SECONDS
    while time.perf_counter() < deadline:
        found = [line.strip() for line in log.read_text().splitlines() if line.startswith("    eh-")]
        if found:
            return found[0]
        time.sleep(KNOCK_SECONDS)
    raise RuntimeError("the server printed no key")


def _stop(process: subprocess.Popen[bytes], leaving: signal.Signals) -> None:
    process.send_signal(leaving)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
