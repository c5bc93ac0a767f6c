"""Real runner processes on Unix sockets, without a keeper."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from enginehouse.sdk import RunnerOrder, WorkerOrder

ENGINES = Path(__file__).parent / "engines"
START_SECONDS = 20.0
EXIT_SECONDS = 15.0


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `condition` returns once it is true-ish; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true in {seconds} s"
        time.sleep(0.005)
    return value


class Runner:
    """`python -m enginehouse.runner` with an engine, and a client on its socket."""

    def __init__(self, folder: Path, order: WorkerOrder) -> None:
        self.folder = folder
        self.order = order
        (folder / "order.json").write_bytes(msgspec.json.encode(order))
        self.log_path = folder / "worker.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "enginehouse.runner", str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PYTHONPATH": str(ENGINES), "PATH": "/usr/bin:/bin"},
            )
        self.client = self.new_client()

    def new_client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=self.order.socket), base_url="http://worker", timeout=20)

    def listening(self) -> Runner:
        wait_for(self._answers, START_SECONDS)
        return self

    def ready(self) -> Runner:
        wait_for(lambda: self._answers() and self.health()["state"] == "ready", START_SECONDS)
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            self.client.get("/health")
        except httpx.TransportError:
            return False
        return True

    def health(self) -> dict[str, Any]:
        return dict(self.client.get("/health").json())

    def metrics(self) -> str:
        return self.client.get("/metrics").text

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stats(self) -> dict[str, Any]:
        with self.new_client() as client:
            answer = client.post("/v1/completions", json={"model": "m", "prompt": "stats"})
        return dict(json.loads(answer.json()["choices"][0]["text"]))

    def complete(self, prompt: Any = "hi", **fields: Any) -> httpx.Response:
        return self.client.post("/v1/completions", json={"model": "m", "prompt": prompt, **fields})

    def chat(self, content: Any = "hi", **fields: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
        return self.client.post("/v1/chat/completions", json=body)

    def seen(self, **fields: Any) -> dict[str, Any]:
        """What the engine is asked for when a chat is sent with these fields."""
        answer = self.chat("request", **fields)
        assert answer.status_code == 200, answer.text
        return dict(json.loads(answer.json()["choices"][0]["message"]["content"]))

    def exit(self) -> int:
        return self.process.wait(EXIT_SECONDS)

    def end(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(EXIT_SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()


def order_of(folder: Path, option_values: dict[str, Any], fields: dict[str, Any]) -> WorkerOrder:
    """An order for the fake engine; `fields` are RunnerOrder's, or WorkerOrder's."""
    fields = dict(fields)
    worker = {key: fields.pop(key) for key in ("drain_seconds", "model_uid") if key in fields}
    values: dict[str, Any] = {
        "engine": "enginehouse_fake.engine:FakeEngine",
        "options": "enginehouse_fake.options:FakeOptions",
        "tasks": ("chat", "generate"),
        "model_path": str(folder),
        "device": "cpu",
        "abilities": ("chat", "generate"),
        "context_length": 4096,
        **fields,
    }
    return WorkerOrder(
        worker_id="w",
        model_uid=worker.pop("model_uid", "m"),
        token="t",
        folder=str(folder),
        socket=str(folder / "s"),
        control=str(folder / "c"),
        argv=(),
        runner=RunnerOrder(option_values=option_values, **values),
        **worker,
    )


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Runner]]:
    """Starts runners; keyword `order` has RunnerOrder fields, the others are the fake engine's options."""
    started: list[Runner] = []
    with tempfile.TemporaryDirectory(prefix="eh") as place:  # short: a socket's path has a limit

        def begin(order: dict[str, Any] | None = None, **options: Any) -> Runner:
            folder = Path(place) / str(len(started))
            folder.mkdir()
            started.append(Runner(folder, order_of(folder, options, order or {})))
            return started[-1]

        yield begin
        for runner in started:
            runner.end()


@pytest.fixture(scope="session")
def plain(start: Callable[..., Runner]) -> Runner:
    """A runner with no knob turned, shared by tests that leave it as they found it."""
    return start().ready()


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_for


@pytest.fixture
def events() -> Callable[[str], list[dict[str, Any]]]:
    """The JSON of each event of a stream's text, [DONE] left out."""

    def read(text: str) -> list[dict[str, Any]]:
        blocks = [line for line in text.split("\n") if line.startswith("data: ")]
        return [json.loads(block[6:]) for block in blocks if block != "data: [DONE]"]

    return read
