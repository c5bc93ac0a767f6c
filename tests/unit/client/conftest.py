from __future__ import annotations

import inspect
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from enginehouse.client import AsyncClient, AsyncEventStream, Client, EventStream

Run = Callable[..., Awaitable[Any]]


def _load_scripted_server() -> Any:
    path = Path(__file__).with_name("scripted_server.py")
    spec = spec_from_file_location("scripted_server_of_client_tests", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def server_process() -> Iterator[Any]:
    with _load_scripted_server().running() as server:
        yield server


@pytest.fixture
def server(server_process: Any) -> Any:
    server_process.play({})
    return server_process


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "asynchronous"])
def face(request: pytest.FixtureRequest) -> type[Client] | type[AsyncClient]:
    """Both clients, so that each test is made with each."""
    kind: type[Client] | type[AsyncClient] = request.param
    return kind


@pytest.fixture
def run() -> Run:
    """Calls a method of either client and waits for what it gives."""

    async def run(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return run


@pytest.fixture
def collect() -> Run:
    """All events of a stream of either client, put into `events` as they come."""

    async def collect(stream: EventStream | AsyncEventStream, events: list[Any]) -> list[Any]:
        if isinstance(stream, AsyncEventStream):
            async for event in stream:
                events.append(event)
        else:
            for event in stream:
                events.append(event)
        return events

    return collect


@pytest.fixture
def unused_address() -> Iterator[str]:
    """An address at which nothing listens: its port is bound, so that nobody else takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
