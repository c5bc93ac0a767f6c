"""An interrupted server: what runs may end, unless somebody insists."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "enginehouse.cli", "serve"]


class Process:
    """A server on a port that the system chose."""

    def __init__(self, home: Path, port: int = 0, **variables: str) -> None:
        environment = {**os.environ, "ENGINEHOUSE_HOME": str(home), **variables}
        command = [*COMMAND, "--port", str(port), "--log-level", "warning"]
        self.popen = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def until_ready(self) -> int:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line.startswith("Enginehouse is ready at http://127.0.0.1:"), line
        return int(line.rpartition(":")[2])

    def ending(self) -> int:
        self.popen.communicate(timeout=30)
        return self.popen.returncode


@pytest.fixture
def start(tmp_path):
    started = []

    def new(home: str = "home", port: int = 0, **variables: str) -> Process:
        started.append(Process(tmp_path / home, port, **variables))
        return started[-1]

    yield new
    for one in started:
        one.popen.kill()
        one.popen.communicate(timeout=10)


def post(port: int, path: str, body: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", path, body)
    return connection.getresponse()


@pytest.mark.parametrize("impatient", [False, True])
def test_running_requests_end_before_the_server_does_unless_told_twice(start, impatient):
    server = start(ENGINEHOUSE_DRAIN_SECONDS="20")
    port = server.until_ready()
    seconds = 5 if impatient else 0.05
    launch = f'{{"model_name": "fake-model", "model_engine": "fake", "token_seconds": {seconds}}}'
    assert post(port, "/v1/models", launch).status == 200
    stream = post(
        port,
        "/v1/chat/completions",
        '{"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "stream": true}',
    )
    assert stream.readline().startswith(b"data: ")
    loaded = Path(f"/proc/{server.popen.pid}/maps")
    assert not loaded.exists() or "libtorch" not in loaded.read_text()
    began = time.monotonic()
    server.popen.send_signal(signal.SIGINT)
    if impatient:
        until_refused(port)
        server.popen.send_signal(signal.SIGINT)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            stream.read()
    else:
        assert stream.read().endswith(b"data: [DONE]\n\n")
    assert server.ending() == 0
    assert time.monotonic() - began < 10


def until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("the server still accepts connections")
