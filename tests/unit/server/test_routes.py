"""Administrative routes, with a real deployment of the fake engine, and the API's description."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import msgspec
import pytest
from fastapi import FastAPI

from enginehouse.host.contributed_tasks import RESERVED
from enginehouse.host.routing import Route
from enginehouse.sdk import TASKS
from enginehouse.server.errors import handle_errors
from enginehouse.server.permissions import Rules
from enginehouse.server.task_routes import TaskRoutes


async def launch(gateway, query="", **body):
    data = json.dumps({"model_name": "fake-model", "model_engine": "fake", **body})
    async with gateway.session.post(f"/v1/models{query}", data=data) as response:
        return response.status, await response.json()


async def delete(gateway, uid):
    async with gateway.session.delete(f"/v1/models/{quote(uid, safe='')}") as response:
        return response.status, await response.json()


async def test_a_model_from_launch_to_end(gateway):
    assert await launch(gateway, model_uid="my model é") == (200, {"model_uid": "my model é"})
    path = f"/v1/models/{quote('my model é')}"
    status, listed = await gateway.get("/v1/models")
    (item,) = listed["data"]
    assert (status, listed["object"], item["id"], item["object"]) == (200, "list", "my model é", "model")
    assert item["owned_by"] == "enginehouse"
    assert isinstance(item["created"], int)
    assert {"model_name", "model_type", "model_ability", "context_length", "model_engine"} <= item.keys()
    assert (item["replica"], item["status"]) == (1, "READY")
    status, alone = await gateway.get(path)
    memory = alone.pop("memory")
    assert (status, alone) == (200, item)
    assert memory["estimated_bytes"]["libraries"] > 0 < memory["measured_bytes"]

    _, answer = await gateway.chat({"model": "my model é", "messages": [{"role": "user", "content": "hi"}]})
    assert answer["choices"][0]["message"]["role"] == "assistant"

    _, (replica,) = await gateway.get(f"{path}/replicas")
    assert (replica["replica_model_uid"], replica["status"]) == ("my model é-rep0", "READY")
    assert replica["pid"] > 1
    _, events = await gateway.get(f"{path}/events")
    assert {"event_type", "event_ts", "event_content"} == events[0].keys()
    _, progress = await gateway.get(f"{path}/progress")
    assert (progress["progress"], progress["stage"]) == (1.0, "ready")
    assert (await gateway.get("/ready"))[0] == 200
    _, status_now = await gateway.get("/status")
    assert status_now["models"] == {"my model é": "READY"}

    async with gateway.session.post(f"{path}/cancel") as response:
        assert response.status == 400
    assert await delete(gateway, "my model é") == (200, None)
    assert (await delete(gateway, "my model é"))[0] == 400
    assert (await gateway.get("/v1/models"))[1]["data"] == []


async def test_a_model_that_loads(gateway, until):
    assert (await launch(gateway, "?wait_ready=false", load_seconds=60))[0] == 200
    status, answer = await gateway.get("/v1/models/fake-model")
    assert (status, answer["error"]["code"]) == (503, "model_loading")
    assert (await gateway.get("/v1/models/fake-model?any_status=true"))[1]["status"] in ("CREATING", "LOADING")
    assert (await gateway.get("/v1/models"))[1]["data"] == []
    assert (await gateway.get("/v1/models?all=true"))[1]["data"][0]["id"] == "fake-model"
    status, answer = await gateway.get("/ready")
    assert status == 503
    assert "fake-model" in answer["detail"]
    response, _ = await gateway.chat({"model": "fake-model"})
    assert (response.status, response.headers["retry-after"]) == (503, "5")

    (instance,) = (await gateway.get("/v1/models/instances?model_uid=fake-model"))[1]
    assert instance["model_name"] == "fake-model"
    assert (await gateway.get("/v1/models/instances?model_name=other"))[1] == []
    assert (await launch(gateway, model_uid="fake-model"))[0] == 409
    async with gateway.session.post("/v1/models/fake-model/cancel") as response:
        assert (response.status, await response.json()) == (200, None)
    assert (await gateway.get("/v1/models?all=true"))[1]["data"] == []


async def test_a_launch_that_fails_says_why(gateway):
    status, answer = await launch(gateway, load_crash="raise")
    assert (status, answer["error"]["code"]) == (503, "launch_failed")
    assert "fake-model" in answer["detail"]
    status, answer = await gateway.get("/v1/models/fake-model")
    assert (status, answer["error"]["code"]) == (503, "launch_failed")


async def test_a_caller_that_leaves_does_not_stop_the_launch(gateway, until):
    waiting = asyncio.ensure_future(launch(gateway, load_seconds=0.3))

    async def begun() -> bool:
        return bool((await gateway.get("/v1/models?all=true"))[1]["data"])

    await until(begun)
    waiting.cancel()

    async def ready() -> bool:
        return (await gateway.get("/v1/models/fake-model"))[0] == 200

    await until(ready)
    assert waiting.cancelled()


WRONG = [
    (b"{", "", 400, "not JSON"),
    (b"[]", "", 400, "JSON object"),
    (b"{}", "", 400, "model_name"),
    (b'{"model_name": 7}', "", 400, "model_name"),
    (b'{"model_name": "nonesuch"}', "", 400, "nonesuch"),
    (b'{"model_name": "fake-model", "replica": "many"}', "", 400, "replica"),
    (b'{"model_name": "fake-model", "wait_ready": "no"}', "", 400, "wait_ready"),
    (b'{"model_name": "fake-model"}', "?wait_ready=perhaps", 422, "wait_ready"),
]


async def test_launches_that_cannot_be(gateway):
    for body, query, status, says in WRONG:
        async with gateway.session.post(f"/v1/models{query}", data=body) as response:
            answer = await response.json()
        assert response.status == status, body
        assert says in answer["detail"] == answer["error"]["message"]
        assert answer["error"]["type"] == "invalid_request_error"
    assert (await gateway.get("/v1/models?all=true"))[1]["data"] == []


async def test_unknown_models(gateway, worker):
    for uid in ("nobody", "a/b", "a%2Fb", "with space", "ü 模型", "instances2", "x" * 3000):
        path = f"/v1/models/{quote(uid, safe='%')}"
        for status, answer in (await gateway.get(path), await delete(gateway, uid)):
            assert (status, answer["error"]["code"]) == (400, "model_not_found")
            assert "none" in answer["detail"]
        assert (await gateway.get(f"{path}/progress"))[1]["stage"] == "pending"
        assert await gateway.get(f"{path}/events") == (200, [])
        assert (await gateway.get(f"{path}/replicas"))[0] == 400


async def test_about_the_server(gateway):
    assert await gateway.get("/v1/cluster/auth") == (200, {"auth": False})
    assert await gateway.get("/health") == (200, {"status": "ok"})
    assert await gateway.get("/ready") == (200, {"status": "ok"})
    version = (await gateway.get("/v1/cluster/version"))[1]["version"]
    welcome = (await gateway.get("/"))[1]
    assert (welcome["name"], welcome["version"]) == ("enginehouse", version)
    plugins = {plugin["name"]: plugin for plugin in (await gateway.get("/v1/plugins"))[1]["plugins"]}
    assert plugins["builtin"]["state"] == "loaded"
    assert "fake" in plugins["fake_engine"]["contributes"]["engines"]
    assert (plugins["transformers"]["state"], plugins["transformers"]["reason"]) == (
        "blocked",
        "It is on the block list.",
    )


NOWHERE = [
    ("GET", "/nowhere", 404),
    ("POST", "/v1/nowhere", 404),
    ("GET", "/v1/chat/completions", 405),
    ("PUT", "/v1/models", 405),
    ("POST", "/health", 405),
    ("GET", "/v1/models?all=perhaps", 422),
]


async def test_errors_of_the_router_have_the_one_shape(gateway):
    for method, path, status in NOWHERE:
        async with gateway.session.request(method, path) as response:
            answer = await response.json()
        assert response.status == status, path
        assert answer["detail"] == answer["error"]["message"]
        assert answer["error"].keys() == {"message", "type", "param", "code"}
        if status == 405:
            assert "allow" in response.headers


async def test_a_fault_of_ours_has_the_one_shape_too():
    app = FastAPI()
    handle_errors(app)

    @app.get("/fault")
    def fault() -> None:
        raise ZeroDivisionError("secret")

    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/fault", "headers": [], "query_string": b"", "root_path": ""}
    with pytest.raises(ZeroDivisionError):  # for the server's log
        await app({**scope, "server": ("x", 80), "scheme": "http"}, receive, send)
    answer = json.loads(sent[1]["body"])
    assert sent[0]["status"] == 500
    assert answer["detail"] == answer["error"]["message"]
    assert "secret" not in answer["detail"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_pages_of_other_sites_change_nothing(gateway, worker, site):
    gateway.route(worker)
    response, answer = await gateway.chat({}, **{"Sec-Fetch-Site": site})
    assert (response.status, answer["error"]["code"]) == (403, "not_allowed")
    async with gateway.session.delete("/v1/models/m", headers={"Sec-Fetch-Site": site}) as refused:
        assert refused.status == 403
    assert (await gateway.chat({}, **{"Sec-Fetch-Site": "same-origin"}))[0].status == 200


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_the_description_of_the_api(gateway):
    status, document = await gateway.get("/openapi.json")
    assert (status, document["openapi"][:2]) == (200, "3.")
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    for task in TASKS.values():
        operation = document["paths"][task.route]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{task.request.__name__}"}
        assert set(schemas[task.request.__name__]["properties"]) == set(task.request.__struct_fields__)
    launch_body = document["paths"]["/v1/models"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert launch_body["$ref"].endswith("/LaunchRequest")
    async with gateway.session.get("/docs") as page:
        assert page.status == 200


async def test_no_plugins_route_can_stand_before_the_servers_own(gateway):
    paths = (await gateway.get("/openapi.json"))[1]["paths"]
    plugins = {task.route for task in gateway.house.catalog.own_tasks}
    first = {path.split("/")[2] for path in paths if path.startswith("/v1/") and path not in plugins}
    assert not first - RESERVED, "a new route of ours: add the word to RESERVED in host/contributed_tasks.py"


async def test_tasks_that_plugins_bring_are_routes_like_others(gateway):
    tasks = {task["name"]: task for task in (await gateway.get("/v1/tasks"))[1]["tasks"]}
    assert tasks["chat"]["model_types"] == ["LLM"]
    infer = tasks["infer"]
    assert (infer["route"], infer["model_types"], infer["streams"]) == ("/v1/flexible/infers", ["flexible"], True)
    document = (await gateway.get("/openapi.json"))[1]
    operation = document["paths"][infer["route"]]["post"]
    assert operation["operationId"] == "infer" and set(operation["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    body = document["components"]["schemas"]["InferRequest"]
    assert body["additionalProperties"] is True and "rest" not in body["properties"]
    rule = Rules([], TaskRoutes(gateway.house.catalog)).of({"type": "http", "method": "POST", "path": infer["route"]})
    assert rule.permission == "use"
    status, answer = await gateway.get(infer["route"])
    assert (status, answer["error"]["code"]) == (405, "method_not_allowed")
    assert infer["route"] in answer["detail"]


async def test_launchers_are_listed(gateway):
    named = {each["name"]: each for each in (await gateway.get("/v1/launchers"))[1]["launchers"]}
    assert named["onnx"]["launcher"] == "enginehouse_flexible.launchers.onnx:launcher"


async def test_real_answers_fit_the_description(gateway):
    await launch(gateway)
    document = (await gateway.get("/openapi.json"))[1]["components"]["schemas"]
    for path, name in (("/v1/models/fake-model", "Model"), ("/v1/models/fake-model/progress", "Progress")):
        answer = (await gateway.get(path))[1]
        assert set(document[name]["required"]) <= answer.keys()
    (replica,) = (await gateway.get("/v1/models/fake-model/replicas"))[1]
    assert set(document["Replica"]["required"]) <= replica.keys()
    (instance,) = (await gateway.get("/v1/models/instances"))[1]
    assert set(document["Instance"]["required"]) <= instance.keys()


async def test_a_model_that_is_down_for_good(gateway):
    gateway.house.routing.put(Route("m", ("chat",), (), failure="It fell."))
    response, answer = await gateway.chat({})
    assert (response.status, answer["error"]["code"]) == (503, "launch_failed")
    assert "It fell." in answer["detail"]
    assert msgspec.json.encode(answer)
