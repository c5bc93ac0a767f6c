"""Names in paths: what may be asked for, and what no model may be called."""

from __future__ import annotations

import json

import pytest

from enginehouse.server.paths import RESERVED
from enginehouse.server.permissions import all_routes


@pytest.mark.parametrize("uid", RESERVED)
async def test_a_model_is_not_called_as_a_route(gateway, uid):
    launch = {"model_name": "fake-model", "model_engine": "fake", "model_uid": uid}
    for path, body in {"/v1/models": launch, "/v1/autostart/models": {"launch": launch}}.items():
        async with gateway.session.post(path, data=json.dumps(body)) as response:
            assert response.status == 400
            assert "word of this API's routes" in (await response.json())["detail"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", "GET, POST"),
        ("/v1/models/x", "DELETE, GET, PATCH"),
        ("/v1/models/x/replicas", "GET, POST"),
        ("/v1/models/x/replicas/0", "DELETE"),
        ("/v1/models/x/events", "GET"),
        ("/v1/models/families", "GET"),
        ("/v1/models/llm/auto-register", "POST"),
        ("/v1/autostart/models/summary", "GET"),
    ],
)
async def test_what_a_path_allows(gateway, path, methods):
    async with gateway.session.put(path) as response:
        assert (response.status, response.headers["allow"]) == (405, methods)


async def test_no_path_is_slow_to_match(gateway):
    """Two parts that may hold slashes would have a path of n of them tried in n times n ways."""
    for route in all_routes(gateway.server.config.app.rest.routes):
        assert sum(route.path.count(kind) for kind in (":text}", ":uid}", ":path}")) <= 1, route.path


async def test_a_line_end_in_a_name_is_part_of_it(gateway):
    assert (await gateway.get("/v1/models/a%0A/progress"))[1]["stage"] == "pending"
    assert (await gateway.get("/v1/models/%0A"))[0] == 400


async def test_the_description_refers_to_nothing_that_is_not_there(gateway):
    _, document = await gateway.get("/openapi.json")
    text = json.dumps(document)
    assert "HTTPValidationError" not in text and "#/$defs" not in text
    create = document["paths"]["/v1/models/{uid}/replicas"]["post"]
    assert {"200", "400", "401", "403", "413", "422"} <= create["responses"].keys()
