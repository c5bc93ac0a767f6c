"""A gateway in the test's own loop, on a real port, before real worker processes on Unix sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import uvicorn

from enginehouse.host.house import Departure, House, open_house
from enginehouse.host.routing import Replica, Route
from enginehouse.host.settings import Settings
from enginehouse.server.application import Application
from enginehouse.server.serve import listen

BODY_BYTES = 16 * 2**20


class WorkerProcess:
    """One worker_app.py."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.socket = str(folder / f"{name}.sock")
        command = [sys.executable, str(Path(__file__).with_name("worker_app.py")), self.socket]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def wait(self) -> WorkerProcess:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self.socket)
                return self
            time.sleep(0.01)
        raise AssertionError("the worker does not listen")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)

    async def get(self, path: str) -> Any:
        """Asks the worker itself."""
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.socket)) as session:
            async with session.get(f"http://worker{path}") as response:
                return await response.json()

    async def seen(self, name: str) -> Any:
        return (await self.get("/seen")).get(name)


UNUSED = ("transformers", "llamacpp", "sentence_transformers")  # plugins; each costs every start time


class Gateway:
    """The whole application served on a port, its routing table open to the test."""

    def __init__(self, house: House, server: uvicorn.Server, port: int) -> None:
        self.house = house
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.session = aiohttp.ClientSession(self.url)

    def route(self, *workers: WorkerProcess | str, uid: str = "m") -> list[Replica]:
        replicas = [
            Replica(f"w{index}", index, worker if isinstance(worker, str) else worker.socket)
            for index, worker in enumerate(workers)
        ]
        self.house.routing.put(Route(uid, ("chat",), tuple(replicas)))
        return replicas

    async def chat(self, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, Any]:
        data = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
        async with self.session.post("/v1/chat/completions", data=data, headers=headers) as response:
            return response, await response.json(content_type=None)

    def open_chat(self, body: Any) -> Any:
        """A response that is read by the test, piece by piece."""
        return self.session.post("/v1/chat/completions", data=json.dumps({"model": "m", **body}).encode())

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(path) as response:
            return response.status, await response.json(content_type=None)


async def _until(condition: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.005)
    return value


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    """Waits, within a bound, until an async condition is true."""
    return _until


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[Callable[[], WorkerProcess]]:
    """Starts workers that the test may kill."""
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        started.append(WorkerProcess(tmp_path, f"worker{len(started)}"))
        return started[-1].wait()

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker that all tests share, so nobody makes it die."""
    process = WorkerProcess(tmp_path_factory.mktemp("worker"), "shared")
    yield process.wait()
    process.end()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", body_bytes=BODY_BYTES, drain_seconds=5.0, blocked=UNUSED)


@pytest_asyncio.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    departure = Departure()
    departure.leave_workers = False
    async with open_house(settings, departure) as house:
        application = Application(house)
        config = uvicorn.Config(application, lifespan="off", log_level="critical", ws="none", http="httptools")
        server = uvicorn.Server(config)
        listener = listen("127.0.0.1", 0)
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0)
        gateway = Gateway(house, server, listener.getsockname()[1])
        yield gateway
        await gateway.session.close()
        application.close()
        server.should_exit = server.force_exit = True
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        for one in server.servers:
            one.close()


@pytest.fixture
def open_files() -> Callable[[], int]:
    """How many descriptors this process holds."""
    return lambda: sum(1 for _ in Path("/dev/fd").iterdir())
