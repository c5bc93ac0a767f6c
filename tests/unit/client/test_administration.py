from __future__ import annotations

import inspect
from typing import Any

import pytest

from enginehouse.client import AsyncClient, Client, ClientError, ServerUnreachable

STOKER = {"id": "stoker", "model_name": "stoker", "model_type": "LLM", "model_ability": ["chat", "generate"]}
METHODS = (
    "list_models",
    "describe_model",
    "launch_model",
    "terminate_model",
    "get_launch_model_progress",
    "cancel_launch_model",
    "get_instance_info",
    "list_plugins",
)


async def test_models_are_listed_by_uid(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models": {"object": "list", "data": [STOKER]}})
    assert await run(face(server.url).list_models) == {"stoker": STOKER}
    assert server.asked()[0]["query"] == {}


async def test_models_of_any_status_are_listed_when_asked_for(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models": {"object": "list", "data": []}})
    assert await run(face(server.url).list_models, any_status=True) == {}
    assert server.asked()[0]["query"] == {"all": "true"}


async def test_a_launch_sends_every_field_of_the_wire(server: Any, face: Any, run: Any) -> None:
    server.play({"POST /v1/models": {"model_uid": "stoker"}})
    assert await run(face(server.url).launch_model, "stoker") == "stoker"
    (asked,) = server.asked()
    assert asked["query"] == {}
    assert asked["json"] == {
        "model_uid": None,
        "model_name": "stoker",
        "model_engine": None,
        "peft_model_config": None,
        "model_type": "LLM",
        "model_size_in_billions": None,
        "model_format": None,
        "quantization": None,
        "replica": 1,
        "n_worker": 1,
        "n_gpu": "auto",
        "request_limits": None,
        "worker_ip": None,
        "gpu_idx": None,
        "replica_config": None,
        "model_path": None,
        "enable_thinking": None,
        "enable_virtual_env": None,
        "virtual_env_packages": None,
        "virtual_env_find_links": None,
        "envs": None,
    }


async def test_unknown_arguments_of_a_launch_go_to_the_engine(server: Any, face: Any, run: Any) -> None:
    server.play({"POST /v1/models": {"model_uid": "x"}})
    launch = face(server.url).launch_model
    await run(launch, "stoker", "LLM", "transformers", wait_ready=False, download_hub="huggingface", max_batch=4)
    (asked,) = server.asked()
    assert asked["query"] == {"wait_ready": "false"}
    assert asked["json"]["model_engine"] == "transformers"
    assert asked["json"]["download_hub"] == "huggingface"
    assert asked["json"]["max_batch"] == 4
    assert "wait_ready" not in asked["json"]


@pytest.mark.parametrize(("size", "sent"), [(7.0, 7), (0.5, "0.5"), (1.8, "1.8"), (7, 7), ("0_5", "0_5"), (None, None)])
async def test_a_size_is_spelt_as_on_the_wire(server: Any, face: Any, run: Any, size: Any, sent: Any) -> None:
    server.play({"POST /v1/models": {"model_uid": "x"}})
    await run(face(server.url).launch_model, "stoker", model_size_in_billions=size)
    assert server.asked()[0]["json"]["model_size_in_billions"] == sent


async def test_the_other_calls_reach_their_routes(server: Any, face: Any, run: Any) -> None:
    progress = {"progress": 0.5, "stage": "loading", "replicas": []}
    server.play(
        {
            "GET /v1/models/stoker": STOKER,
            "DELETE /v1/models/stoker": None,
            "GET /v1/models/stoker/progress": progress,
            "POST /v1/models/stoker/cancel": None,
            "GET /v1/models/instances": [{"json": [{"model_uid": "stoker"}]}],
            "GET /v1/plugins": {"plugins": [{"name": "builtin"}]},
        }
    )
    client = face(server.url)
    assert await run(client.describe_model, "stoker") == STOKER
    assert await run(client.describe_model, "stoker", any_status=True) == STOKER
    assert await run(client.terminate_model, "stoker") is None
    assert await run(client.get_launch_model_progress, "stoker") == progress
    assert await run(client.cancel_launch_model, "stoker") is None
    assert await run(client.get_instance_info, "name", "stoker") == [{"model_uid": "stoker"}]
    assert await run(client.list_plugins) == [{"name": "builtin"}]
    described, described_any, *_, instances, _plugins = server.asked()
    assert (described["query"], described_any["query"]) == ({}, {"any_status": "true"})
    assert instances["query"] == {"model_name": "name", "model_uid": "stoker"}


async def test_a_uid_is_quoted_in_a_path(server: Any, face: Any, run: Any) -> None:
    server.play({"GET /v1/models/a model%": STOKER})
    await run(face(server.url).describe_model, "a model%")
    assert server.asked()[0]["raw_path"] == "/v1/models/a%20model%25"


def test_both_clients_have_the_same_methods() -> None:
    for name in METHODS:
        one, other = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert one.__doc__ and one.__doc__ == other.__doc__
        assert one.__name__ == name
    assert [*inspect.signature(Client.launch_model).parameters][:3] == ["self", "model_name", "model_type"]


@pytest.mark.parametrize(
    ("step", "detail", "code"),
    [
        ({"json": {"detail": "no such model"}}, "no such model", None),
        (
            {"json": {"error": {"message": "no such model", "code": "model_not_found"}, "detail": "no such model"}},
            "no such model",
            "model_not_found",
        ),
        ({"json": {"error": {"message": "only OpenAI's", "code": None}}}, "only OpenAI's", None),
        ({"json": {"detail": [{"loc": ["x"]}]}}, '[{"loc": ["x"]}]', None),
        ({"json": ["odd"]}, '["odd"]', None),
        ({"text": "Bad Gateway"}, "HTTP status 400: Bad Gateway", None),
        ({"text": ""}, "HTTP status 400: no reason given", None),
    ],
)
async def test_a_refusal_keeps_what_the_server_said(
    server: Any, face: Any, run: Any, step: Any, detail: str, code: str | None
) -> None:
    server.play({"GET /v1/models/x": [{"status": 400, **step}]})
    with pytest.raises(RuntimeError) as caught:
        await run(face(server.url).describe_model, "x")
    error = caught.value
    assert isinstance(error, ClientError)
    assert str(error) == f"Failed to describe the model, detail: {detail}"
    assert (error.status, error.code, error.detail) == (400, code, detail)


@pytest.mark.parametrize("step", [{"text": "<html>hello</html>"}, {"json": {"no": "data"}}, {"json": 3}])
async def test_an_answer_of_another_kind_of_server_is_an_error(server: Any, face: Any, run: Any, step: Any) -> None:
    server.play({"GET /v1/models": [step]})
    with pytest.raises(ClientError, match="Is this an Enginehouse server"):
        await run(face(server.url).list_models)


async def test_a_server_that_is_not_there_is_named(face: Any, run: Any, unused_address: str) -> None:
    async def ask() -> None:
        await run(face(unused_address).list_models)

    with pytest.raises(ServerUnreachable, match=f"{unused_address}.*enginehouse serve") as caught:
        await ask()
    assert caught.value.status is None


@pytest.mark.parametrize("address", ["http://[::1", "ftp://127.0.0.1", "http://127.0.0.1:notaport"])
async def test_an_address_that_is_none_is_named(face: Any, run: Any, address: str) -> None:
    async def ask() -> None:
        await run(face(address).list_models)

    with pytest.raises(ServerUnreachable):
        await ask()
