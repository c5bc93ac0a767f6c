"""What the server says about its machine, and what it says where others have more of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from enginehouse.builtin.local_cluster import LocalCluster
from enginehouse.host.machine_load import LOOK_SECONDS, LoadWatch, NodesUnknown
from enginehouse.sdk import LaunchFailed, Node


async def launch(gateway, **body):
    data = json.dumps({"model_name": "fake-model", "model_engine": "fake", **body})
    async with gateway.session.post("/v1/models", data=data) as response:
        assert response.status == 200, await response.text()


async def post(gateway, path, body):
    async with gateway.session.post(path, data=json.dumps(body)) as response:
        return response.status, await response.json()


async def test_addresses(gateway):
    address = f"127.0.0.1:{gateway.port}"
    assert await gateway.get("/v1/address") == (200, address)
    assert await gateway.get("/v1/supervisor") == (200, {"supervisor_ip": address})
    await launch(gateway)
    _, (worker,) = await gateway.get("/v1/workers")
    assert worker["work-ip"] == address
    assert worker["models"]["fake-model-rep0"]["model_name"] == "fake-model"


async def test_figures_of_the_machine(gateway):
    _, status = await gateway.get("/status")
    ((address, node),) = status["workers"].items()
    assert address == f"127.0.0.1:{gateway.port}"
    assert status["uptime"] >= 0
    cpu = node["status"]["cpu"]
    assert cpu.keys() == {"usage", "total", "memory_used", "memory_available", "memory_total"}
    assert 0 <= cpu["usage"] <= 1 <= cpu["total"]
    assert 0 < cpu["memory_available"] + cpu["memory_used"] == cpu["memory_total"]

    _, plain = await gateway.get("/v1/cluster/info")
    assert [(one["node_type"], one["ip_address"]) for one in plain] == [("Supervisor", address), ("Worker", address)]
    assert all("mem_total" not in one for one in plain)
    _, detailed = await gateway.get("/v1/cluster/info?detailed=true")
    assert detailed[1]["mem_total"] == cpu["memory_total"]
    assert 0 <= detailed[1]["cpu_available"] <= detailed[1]["cpu_count"]
    _, devices = await gateway.get("/v1/cluster/devices")
    assert devices == detailed[1]["gpu_count"] == len([name for name in node["status"] if name.startswith("gpu-")])


async def test_those_who_ask_at_once_share_one_look():
    watch = LoadWatch(LocalCluster().nodes)
    first = await watch.load()
    assert await watch.load() is first


class Slow:
    """A cluster that answers when it is told what."""

    def __init__(self):
        self.asked = 0
        self.answer = asyncio.get_running_loop().create_future()

    async def nodes(self):
        self.asked += 1
        return await self.answer


async def test_a_cluster_that_fails_is_asked_once_for_all_who_wait():
    slow = Slow()
    watch = LoadWatch(slow.nodes)
    waiting = [asyncio.create_task(watch.load()) for _ in range(20)]
    while not slow.asked:
        await asyncio.sleep(0)
    waiting.pop().cancel()  # one that leaves takes nothing from the others
    slow.answer.set_exception(LaunchFailed("It is dark."))
    for said in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(said, NodesUnknown) and said.status == 503 and said.message == "It is dark."
    with pytest.raises(NodesUnknown):
        await watch.load()
    assert slow.asked == 1, "that it failed is remembered"


async def test_figures_stay_when_the_cluster_does_not_say():
    known = (Node(name="attic"),)
    said = iter((known, LaunchFailed("It is dark.")))

    async def nodes():
        told = next(said)
        if isinstance(told, Exception):
            raise told
        return told

    watch = LoadWatch(nodes)
    before = await watch.load()
    await asyncio.sleep(LOOK_SECONDS * 1.1)
    assert await watch.load() is before and before.nodes is known
    assert next(said, None) is None, "it was asked again"


async def test_what_a_console_may_offer(gateway):
    _, config = await gateway.get("/v1/cluster/ui_config")
    assert (config["cluster_name"], config["auth_advanced"], config["es_enabled"]) == ("default", False, False)


async def test_versions_and_launching_one(gateway):
    status, versions = await gateway.get("/v1/models/LLM/fake-model/versions")
    assert status == 200
    one = versions[0]
    assert one["model_version"].startswith("fake-model--") and one["model_version"].count("--") == 3
    assert {"model_format", "model_size_in_billions", "quantization", "cache_status"} <= one.keys()
    body = {"model_version": one["model_version"].upper(), "model_engine": "fake", "model_uid": "by-version"}
    assert await post(gateway, "/v1/models/instance", body) == (200, {"model_uid": "by-version"})
    _, model = await gateway.get("/v1/models/by-version")
    assert (model["model_name"], model["quantization"]) == ("fake-model", one["quantization"])
    _, (instance,) = await gateway.get("/v1/models/instances?model_uid=by-version")
    assert instance["model_version"] == one["model_version"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "model_version"),
        ({"model_version": "fake-model--nothing"}, "no version"),
        ({"model_version": 7}, "must be a text"),
        ([], "JSON object"),
    ],
)
async def test_versions_that_are_none(gateway, body, says):
    status, answer = await post(gateway, "/v1/models/instance", body)
    assert status == 400 and says in answer["detail"]


async def test_versions_of_a_model_that_is_none(gateway):
    status, answer = await gateway.get("/v1/models/LLM/nothing/versions")
    assert status == 400 and "nothing" in answer["detail"]


async def test_families_of_an_engine_that_is_not_installed(gateway):
    engines = [engine["name"].lower() for engine in (await gateway.get("/v1/engines"))[1]["engines"]]
    status, names = await gateway.get("/v1/models/vllm-supported")
    assert status == 200 and names.keys() == {"chat", "generate"}
    assert bool(names["chat"]) == ("vllm" in engines)


async def test_newer_families_are_not_fetched(gateway):
    status, answer = await post(gateway, "/v1/models/update_type", {"model_type": "llm"})
    assert (status, answer["data"]["model_type"], answer["data"]["updated"]) == (200, "LLM", False)
    assert "plugin" in answer["data"]["message"]
    for body in ({}, {"model_type": "world"}, {"model_type": None}, []):
        status, answer = await post(gateway, "/v1/models/update_type", body)
        assert status == 400 and "LLM" in answer["detail"]


async def test_how_far_a_request_has_come(gateway, worker, until):
    gateway.route(worker)
    assert (await gateway.get("/v1/requests/mine/progress"))[0] == 400
    async with gateway.open_chat({"request_id": "mine", "do": "stall", "stream": True}):
        assert await until(lambda: progress_of(gateway, "mine")) == {"progress": 0.0}


async def progress_of(gateway, request_id):
    status, answer = await gateway.get(f"/v1/requests/{request_id}/progress")
    return answer if status == 200 else None
