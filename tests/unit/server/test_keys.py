"""A gateway that asks for keys: who gets in, what for, how much, and what is written down."""

from __future__ import annotations

import asyncio
import json
import stat

import pytest

from enginehouse.host.account import Account, Key
from enginehouse.host.keys import NewKey
from enginehouse.host.settings import Settings
from enginehouse.server.billing import Bill, BilledAnswer, stand_before
from enginehouse.server.permissions import UNKNOWN, Rules, all_routes, declared
from enginehouse.server.upstream import Answer


@pytest.fixture
def settings(tmp_path):
    return Settings(
        home=tmp_path / "home",
        drain_seconds=5.0,
        blocked=("transformers", "llamacpp", "sentence_transformers"),
        require_key=True,
    )


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def admin(gateway):
    return bearer((await gateway.house.keys.create(NewKey(name="boss", role="admin"))).secret)


@pytest.fixture
def user(gateway):
    async def make(**fields):
        return bearer((await gateway.house.keys.create(NewKey(name="ann", **fields))).secret)

    return make


async def ask(gateway, method, path, headers=None, body=None):
    data = None if body is None else json.dumps(body)
    async with gateway.session.request(method, path, headers=headers or {}, data=data) as response:
        is_json = response.content_type == "application/json"
        return response, await response.json() if is_json else await response.text()


async def chat(gateway, headers, **body):
    return await ask(gateway, "POST", "/v1/chat/completions", headers, {"model": "m", "messages": [], **body})


async def test_every_route_declares_its_permission(gateway):
    routes = list(all_routes(gateway.server.config.app.rest.routes))
    assert len(routes) > 20
    assert [route.path for route in routes if declared(route) is None] == []


async def test_routes_that_change_something_are_the_administrators(gateway):
    public = {"/token", "/v1/auth/refresh"}
    for route in all_routes(gateway.server.config.app.rest.routes):
        if declared(route) in ("public", "read") and route.path not in public:
            assert not (route.methods or set()) - {"GET", "HEAD"}, route.path


async def test_a_route_that_declares_nothing_is_closed(gateway):
    app = gateway.server.config.app.rest

    @app.get("/forgotten")
    async def forgotten() -> None: ...

    rules = Rules(app.routes, ["/v1/chat/completions"])

    def rule(method, path):
        return rules.of({"type": "http", "method": method, "path": path, "root_path": "", "headers": []})

    assert rule("GET", "/forgotten").permission == "admin"
    assert rule("POST", "/v1/chat/completions").permission == "use"
    assert rule("GET", "/v1/models/a/b/replicas") == ("read", "list_replicas", {"uid": "a/b"})
    assert rule("GET", "/nowhere") is UNKNOWN


MAY = [  # method, path, status for: nobody, a user, an administrator
    ("GET", "/health", 200, 200, 200),
    ("GET", "/v1/cluster/auth", 200, 200, 200),
    ("GET", "/openapi.json", 200, 200, 200),
    ("GET", "/nowhere", 404, 404, 404),
    ("GET", "/v1/chat/completions", 405, 405, 405),
    ("GET", "/v1/models", 401, 200, 200),
    ("GET", "/v1/models/x", 401, 400, 400),
    ("GET", "/status", 200, 200, 200),
    ("GET", "/v1/address", 200, 200, 200),
    ("GET", "/v1/cluster/ui_config", 200, 200, 200),
    ("GET", "/v1/cluster/devices", 401, 200, 200),
    ("GET", "/v1/cluster/info", 401, 403, 200),
    ("GET", "/v1/workers", 401, 403, 200),
    ("GET", "/v1/supervisor", 401, 403, 200),
    ("GET", "/v1/models/LLM/x/versions", 401, 400, 400),
    ("POST", "/v1/models/instance", 401, 403, 400),
    ("POST", "/v1/models/update_type", 401, 403, 400),
    ("GET", "/v1/models/vllm-supported", 200, 200, 200),
    ("GET", "/v1/requests/x/progress", 401, 400, 400),
    ("GET", "/v1/autostart/models", 401, 403, 200),
    ("GET", "/v1/autostart/models/summary", 401, 200, 200),
    ("POST", "/v1/autostart/models", 401, 403, 400),
    ("DELETE", "/v1/autostart/models/x", 401, 403, 404),
    ("GET", "/v1/launch_history", 401, 200, 200),
    ("POST", "/v1/launch_history", 401, 403, 400),
    ("DELETE", "/v1/launch_history/x/y", 401, 403, 404),
    ("GET", "/v1/virtualenvs", 401, 200, 200),
    ("DELETE", "/v1/virtualenvs?model_name=x", 401, 403, 200),
    ("GET", "/v1/plugins", 401, 200, 200),
    ("GET", "/metrics", 401, 200, 200),
    ("POST", "/v1/models", 401, 403, 400),
    ("DELETE", "/v1/models/x", 401, 403, 400),
    ("POST", "/v1/models/x/cancel", 401, 403, 400),
    ("GET", "/v1/keys", 401, 403, 200),
    ("POST", "/v1/keys", 401, 403, 400),
    ("DELETE", "/v1/keys/x", 401, 403, 404),
    ("POST", "/v1/chat/completions", 401, 404, 404),
    ("POST", "/v1/completions", 401, 404, 404),
]


async def test_who_may_do_what(gateway, admin, user):
    callers = {}, await user(), admin
    for method, path, *expected in MAY:
        body = {"model": "x"} if method == "POST" else None
        statuses = [(await ask(gateway, method, path, who, body))[0].status for who in callers]
        assert [status if status < 500 else 200 for status in statuses] == expected, (method, path)


async def test_refusals_say_what_clients_know(gateway, admin, user):
    response, answer = await ask(gateway, "GET", "/v1/models")
    assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
    assert answer["detail"].startswith("Could not validate credentials")
    assert answer["error"]["code"] == "invalid_api_key"
    ann = await user()
    response, answer = await ask(gateway, "POST", "/v1/models", ann, {})
    assert answer["detail"].startswith("API keys can only access model query and inference endpoints")
    assert (await ask(gateway, "GET", "/v1/models", bearer("eh-wrong")))[0].status == 401
    assert (await ask(gateway, "GET", "/v1/models", {"Authorization": "Basic eA=="}))[0].status == 401


async def test_the_header_of_anthropics_clients(gateway, worker, user):
    gateway.route(worker)
    secret = (await user())["Authorization"].removeprefix("Bearer ")
    assert (await chat(gateway, {"x-api-key": secret}))[0].status == 200
    assert (await chat(gateway, {"authorization": f"bearer {secret}"}))[0].status == 200
    assert (await chat(gateway, {"x-api-key": "eh-wrong"}))[0].status == 401


async def test_models_of_a_key(gateway, worker, user):
    gateway.route(worker)
    ann = await user(models=("other", "n*"))
    response, answer = await chat(gateway, ann)
    assert response.status == 403
    assert answer["detail"].startswith("API key does not have access to model: m")
    assert (await chat(gateway, ann, model="nobody"))[0].status == 404


async def test_requests_a_minute(gateway, worker, user):
    gateway.route(worker)
    ann, other = await user(requests_per_minute=2), await user()
    statuses = [(await chat(gateway, ann))[0].status for _ in range(2)]
    response, answer = await chat(gateway, ann)
    assert statuses == [200, 200]
    assert (response.status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(response.headers["retry-after"]) <= 30
    assert (await chat(gateway, other))[0].status == 200
    assert (await ask(gateway, "GET", "/v1/models", ann))[0].status == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_a_day_with_a_real_worker(gateway, admin, user, stream):
    launch = {"model_name": "fake-model", "model_engine": "fake", "model_uid": "m", "tokens": 4}
    assert (await ask(gateway, "POST", "/v1/models", admin, launch))[0].status == 200
    ann = await user(tokens_per_day=5)
    wish = {"messages": [{"role": "user", "content": "one two three"}], "stream": stream, "model": "m"}
    if stream:
        wish["stream_options"] = {"include_usage": True}
    async with gateway.session.post("/v1/chat/completions", json=wish, headers=ann) as response:
        text = await response.text()
    assert response.status == 200
    assert ": usage" not in text
    assert not any("usage" in name for name in response.headers)
    last = text.split("data: ")[-2] if stream else text
    total = json.loads(last)["usage"]["total_tokens"]
    (account,) = [one for one in gateway.house.keys.all() if one.key.name == "ann"]
    assert account.tokens == total > 5
    response, answer = await chat(gateway, ann)
    assert (response.status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(response.headers["retry-after"]) > 0
    listed = (await ask(gateway, "GET", "/v1/keys", admin))[1]["keys"]
    assert {one["name"]: one["tokens_today"] for one in listed}["ann"] == total


async def test_a_stream_that_is_left_is_charged_for_what_came(gateway, worker, user, until):
    gateway.route(worker)
    ann = await user(tokens_per_day=10**6)
    (account,) = gateway.house.keys.all()
    body = json.dumps({"model": "m", "do": "stall", "stream": True, "padding": "x" * 400})
    async with gateway.session.post("/v1/chat/completions", data=body, headers=ann) as response:
        await response.content.readany()
        response.close()

    async def charged():
        return account.tokens

    assert await until(charged) > 100


async def test_keys_by_http(gateway, admin):
    wish = {"name": "web", "models": ["m*"], "requests_per_minute": 60, "expires_in": 3600}
    response, made = await ask(gateway, "POST", "/v1/keys", admin, wish)
    assert response.status == 200
    assert made["key"].startswith(made["hint"]) and made["state"] == "valid"
    listed = (await ask(gateway, "GET", "/v1/keys", admin))[1]["keys"]
    assert [one["name"] for one in listed] == ["boss", "web"]
    assert made["key"] not in json.dumps(listed)
    assert (await ask(gateway, "DELETE", f"/v1/keys/{made['key_id']}", admin))[1] is None
    assert (await ask(gateway, "GET", "/v1/models", bearer(made["key"])))[1]["detail"].startswith("API key is disabled")
    assert len((await ask(gateway, "GET", "/v1/keys", admin))[1]["keys"]) == 1
    everything = (await ask(gateway, "GET", "/v1/keys?all=true", admin))[1]["keys"]
    assert [one["state"] for one in everything] == ["valid", "revoked"]


async def test_logging_in(gateway, user):
    secret = (await user())["Authorization"].removeprefix("Bearer ")
    response, login = await ask(gateway, "POST", "/token", body={"username": "any", "password": secret})
    assert (response.status, login["token_type"]) == (200, "bearer")
    assert (await ask(gateway, "GET", "/v1/models", bearer(login["access_token"])))[0].status == 200
    renewed = (await ask(gateway, "POST", "/v1/auth/refresh", body={"refresh_token": login["refresh_token"]}))[1]
    assert (await ask(gateway, "GET", "/v1/models", bearer(renewed["access_token"])))[0].status == 200
    for path, body, status in (
        ("/token", {"username": "any", "password": "wrong"}, 401),
        ("/token", {"username": "any"}, 400),
        ("/token", "text", 400),
        ("/v1/auth/refresh", {}, 400),
        ("/v1/auth/refresh", {"refresh_token": login["refresh_token"]}, 401),
    ):
        assert (await ask(gateway, "POST", path, body=body))[0].status == status


async def test_the_audit_log(gateway, settings, admin, user):
    ann = await user()
    await ask(gateway, "POST", "/v1/models", {**admin, "X-Request-Id": "r-1"}, {"model_name": "nonesuch", "token": "s"})
    response, _ = await ask(gateway, "DELETE", "/v1/models/a%2Fb", ann)
    await ask(gateway, "POST", "/v1/keys?x=secret", bearer("eh-secret"), {"name": "secret"})
    await ask(gateway, "GET", "/v1/keys", admin)
    await chat(gateway, ann)
    file = settings.home / "logs" / "audit.jsonl"
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in text and admin["Authorization"].removeprefix("Bearer ") not in text
    launch, end, key = map(json.loads, text.splitlines())
    assert (launch["who"], launch["act"], launch["model"], launch["status"]) == (
        "boss",
        "launch_model",
        "nonesuch",
        400,
    )
    assert (launch["request_id"], launch["address"], launch["method"]) == ("r-1", "127.0.0.1", "POST")
    assert launch["key_id"] and launch["ts"].startswith("20")
    assert (end["who"], end["act"], end["model"], end["status"]) == ("ann", "terminate_model", "a/b", 403)
    assert end["request_id"] == response.headers["x-request-id"]
    assert (key["who"], key["status"], "key_id" in key) == ("nobody known", 401, False)


def answer_of(kind, status=200, **headers):
    answer = Answer(None)
    answer.status = status
    named = {"content-type": kind, **headers}
    answer.headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    return answer


def pass_all(answer, pieces, prompt=0):
    """What of the pieces goes on, and what was charged."""
    account = Account(Key(key_id="k", name="n", role="user", created_ts=0, tokens_per_day=1))
    answer.ended = len(pieces) == 1
    relayed, out = stand_before(answer, pieces[0], Bill(account, prompt))
    for left, piece in zip(range(len(pieces) - 2, -1, -1), pieces[1:], strict=True):
        answer.ended = not left
        out += relayed.pass_on(piece) if isinstance(relayed, BilledAnswer) else piece
        assert relayed.ended is answer.ended
    return out, account.tokens


STREAM = b': hello\n\ndata: {"a":":b\\n:c"}\n\n:\n\ndata: 2\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_stated_usage_of_a_stream_however_it_is_cut(size):
    whole = STREAM + b": usage 12 30\n\n"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert pass_all(answer_of("text/event-stream"), pieces) == (STREAM, 42)
    assert pass_all(answer_of("text/event-stream"), [*pieces, b""]) == (STREAM, 42)
    timed = STREAM + b": usage 12 30 400 5000\n\n"
    pieces = [timed[start : start + size] for start in range(0, len(timed), size)]
    assert pass_all(answer_of("text/event-stream"), pieces) == (STREAM, 42)


def test_usage_that_nobody_stated():
    assert pass_all(answer_of("text/event-stream"), [STREAM], prompt=40) == (STREAM, 13)
    body = b'{"usage": {"total_tokens": 9}, "choices": []}'
    assert pass_all(answer_of("application/json"), [body[:20], body[20:]]) == (body, 9)
    assert pass_all(answer_of("application/json"), [b"[]"], prompt=8) == (b"[]", 2)
    assert pass_all(answer_of("application/json", x_enginehouse_usage="3 4"), [b"{}"]) == (b"{}", 7)
    assert pass_all(answer_of("application/json", x_enginehouse_usage="3 4 50 60"), [b"{", b"}"]) == (b"{}", 7)
    assert pass_all(answer_of("application/json", 500), [b"{}"], prompt=100) == (b"{}", 0)


async def test_each_request_is_admitted_as_itself(gateway, worker, user):
    """Many requests with many keys at once are each admitted as themselves."""
    gateway.route(worker)
    some = [await user(models=("m",)) for _ in range(3)]
    none = [await user(models=()) for _ in range(3)]
    answers = await asyncio.gather(*(chat(gateway, who) for who in [*some, *none] * 5))
    assert [response.status for response, _ in answers] == [200, 200, 200, 403, 403, 403] * 5


async def test_the_description_says_what_each_operation_needs(gateway):
    document = (await ask(gateway, "GET", "/openapi.json"))[1]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(operation["x-permission"] in ("public", "use", "read", "admin") for operation in operations)
    paths = document["paths"]
    assert paths["/v1/models/{uid}"]["delete"]["x-permission"] == "admin"
    assert paths["/v1/chat/completions"]["post"]["x-permission"] == "use"
    assert paths["/health"]["get"]["security"] == []


async def test_what_is_kept_of_launches_is_seen_by_who_may_use_the_model(gateway, admin, user):
    for name, uid in (("a", "mine"), ("a", "theirs"), ("mine", "")):
        body = {"model_name": name, "model_uid": uid}
        assert (await ask(gateway, "POST", "/v1/launch_history", admin, body))[0].status == 200
        launch = {"model_name": "fake-model", "model_engine": "fake", "model_uid": uid or "other"}
        entry = {"enabled": False, "launch": launch}
        assert (await ask(gateway, "POST", "/v1/autostart/models", admin, entry))[0].status == 200
    _, launches = await ask(gateway, "GET", "/v1/launch_history", await user(models=("mine",)))
    assert [(one["model_name"], one["model_uid"]) for one in launches] == [("a", "mine"), ("mine", "")]
    assert {one["updated_by"] for one in launches} == {"boss"}
    _, summary = await ask(gateway, "GET", "/v1/autostart/models/summary", await user(models=("mine",)))
    assert [one["model_uid"] for one in summary["models"]] == ["mine"]
    assert len((await ask(gateway, "GET", "/v1/launch_history", admin))[1]) == 3
