from __future__ import annotations

import inspect
from typing import Any

import pytest

from enginehouse.client import AsyncClient, Client

METHODS = ("inspect_model", "register_model", "unregister_model", "list_model_registrations", "get_model_registration")


async def test_the_calls_reach_their_routes(server: Any, face: Any, run: Any) -> None:
    server.play(
        {
            "POST /v1/model_registrations/LLM": None,
            "GET /v1/model_registrations/LLM": [{"json": [{"model_name": "mine", "is_builtin": False}]}],
            "GET /v1/model_registrations/LLM/a b": {"model_name": "a b"},
            "DELETE /v1/model_registrations/LLM/a b": None,
        }
    )
    client = face(server.url)
    assert await run(client.register_model, "LLM", "{}", True) is None
    assert await run(client.list_model_registrations, "LLM") == [{"model_name": "mine", "is_builtin": False}]
    await run(client.list_model_registrations, "LLM", detailed=True)
    assert await run(client.get_model_registration, "LLM", "a b") == {"model_name": "a b"}
    assert await run(client.unregister_model, "LLM", "a b") is None
    registered, listed, detailed, *_ = server.asked()
    assert registered["json"] == {"model": "{}", "persist": True, "worker_ip": None}
    assert (listed["query"], detailed["query"]) == ({"detailed": "false"}, {"detailed": "true"})


@pytest.mark.parametrize("name", METHODS)
def test_both_clients_have_them(name: str) -> None:
    one, other = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.signature(one) == inspect.signature(other) and one.__doc__
