"""Ending everything over HTTP: the answer comes, processes end, and what was declared comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import httpx


def test_the_answer_comes_first_and_nothing_is_left(
    new_server: Callable[..., Any], wait: Callable[..., Any], running: Callable[[int], bool]
) -> None:
    server = new_server()
    server.launch(model_engine="fake")
    pid = server.pid("fake-model")
    answer = server.client.delete("/v1/clusters")
    assert (answer.status_code, answer.json()) == (200, {"result": True})
    with contextlib.suppress(httpx.TransportError):  # unless it has gone meanwhile; asking twice is no force
        assert server.client.delete("/v1/clusters").json() == {"result": True}
    assert server.process.wait(60) == 0
    wait(lambda: not running(pid), what="the end of the worker")

    server.client.close()
    server.client = type(server.client)(base_url=server.url, timeout=server.client.timeout)
    server.start()
    wait(lambda: server.description("fake-model")["status"] == "READY", 60, "the declared model's return")
