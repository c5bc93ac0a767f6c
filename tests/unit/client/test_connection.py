from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from enginehouse.client import AsyncClient, Client, ClientError
from enginehouse.client.calls.models import launch_model, list_models
from enginehouse.client.calls.texts import chat
from enginehouse.client.connection import request_options, server_address, transport_options

NOTHING_RUNS = {"GET /v1/models": {"object": "list", "data": []}}


@pytest.fixture
def with_auth(server: Any) -> Any:
    server.play({**NOTHING_RUNS, "GET /v1/cluster/auth": {"auth": True}})
    return server


async def test_a_key_is_sent_when_the_server_asks_for_one(with_auth: Any, face: Any, run: Any) -> None:
    await run(face(with_auth.url, api_key="secret").list_models)
    assert with_auth.asked()[0]["headers"]["authorization"] == "Bearer secret"


async def test_a_key_is_kept_when_the_server_asks_for_none(server: Any, face: Any, run: Any) -> None:
    server.play(NOTHING_RUNS)
    await run(face(server.url, api_key="secret").list_models)
    assert "authorization" not in server.asked()[0]["headers"]


async def test_a_server_without_the_question_wants_no_key(server: Any, face: Any, run: Any) -> None:
    server.play({**NOTHING_RUNS, "GET /v1/cluster/auth": [{"status": 404, "json": {"detail": "Not Found"}}]})
    assert await run(face(server.url, api_key="secret").list_models) == {}
    assert "authorization" not in server.asked()[0]["headers"]


async def test_the_question_about_keys_may_fail(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/cluster/auth": [{"status": 500, "json": {"detail": "database locked"}}]})

    async def ask() -> None:
        await run(face(server.url).list_models)

    with pytest.raises(ClientError, match="database locked"):
        await ask()


def test_the_blocking_client_asks_in_its_constructor(server: Any, unused_address: str) -> None:
    Client(server.url).close()
    with pytest.raises(RuntimeError):
        Client(unused_address)


async def test_the_asynchronous_client_asks_on_entering(server: Any, unused_address: str) -> None:
    async with AsyncClient(server.url):
        pass
    with pytest.raises(RuntimeError):
        async with AsyncClient(unused_address):
            pass


async def test_a_trailing_slash_is_tolerated(server: Any, face: Any, run: Any) -> None:
    server.play(NOTHING_RUNS)
    client = face(server.url + "/")
    assert client.base_url == server.url
    assert await run(client.list_models) == {}
    await run(client.close)


def test_an_address_comes_from_the_caller_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINEHOUSE_ENDPOINT", "http://10.0.0.1:80/")
    assert server_address("https://models.example") == "https://models.example"
    assert server_address(None) == "http://10.0.0.1:80"
    assert server_address("localhost:9997") == "http://localhost:9997"
    monkeypatch.setenv("XINFERENCE_ENDPOINT", "http://10.0.0.2:80")
    assert server_address(None) == "http://10.0.0.1:80"
    monkeypatch.delenv("ENGINEHOUSE_ENDPOINT")
    assert server_address(None) == "http://10.0.0.2:80"
    monkeypatch.delenv("XINFERENCE_ENDPOINT")
    assert server_address(None) == "http://127.0.0.1:9997"


def test_only_launches_and_generation_may_be_silent_for_long() -> None:
    assert request_options(list_models())["timeout"].read == 30
    assert request_options(launch_model("stoker"))["timeout"].read is None
    assert request_options(chat("stoker", []))["timeout"].read is None
    assert request_options(chat("stoker", []))["timeout"].connect == 5


def test_sockets_have_no_nagle_delay_and_notice_a_vanished_peer(server: Any) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(**transport_options(server.url))) as http:
        with http.stream("GET", server.url + "/v1/cluster/auth") as response:
            opened = response.extensions["network_stream"].get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_asynchronous_sockets_have_no_nagle_delay_either(server: Any) -> None:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(**transport_options(server.url))) as http:
        async with http.stream("GET", server.url + "/v1/cluster/auth") as response:
            opened = response.extensions["network_stream"].get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
