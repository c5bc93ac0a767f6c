"""A server that asks for keys, with clients as people use them."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import time
from collections.abc import Iterator

import anthropic
import httpx
import openai
import pytest
from xinference_client import AsyncRESTfulClient, RESTfulClient

from enginehouse.client import AsyncClient, Client, ClientError

CHAT = [{"role": "user", "content": "hello"}]
FIRST = re.compile(r"^    (eh-[\w-]{43})$", re.M)


def until_shown(server) -> list[str]:
    """The first key, which is printed right after the server begins to answer."""
    deadline = time.monotonic() + 10
    while not (found := FIRST.findall(server.log())) and time.monotonic() < deadline:
        time.sleep(0.01)
    return list(found)


@pytest.fixture(scope="module")
def locked(new_server_of_module) -> Iterator[object]:
    server = new_server_of_module(ENGINEHOUSE_REQUIRE_KEY="1")
    yield server


@pytest.fixture(scope="module")
def admin(locked) -> str:
    (secret,) = until_shown(locked)
    with Client(locked.url, secret) as client:
        client.launch_model("fake-model", model_engine="fake", model_uid="m", tokens=3)
        client.launch_model("fake-model", model_engine="fake", model_uid="other", tokens=3)
    return secret


@pytest.fixture(scope="module")
def user(locked, admin) -> str:
    with Client(locked.url, admin) as client:
        return str(client.create_key("ann", models=["m"])["key"])


def test_the_first_key_is_shown_once(locked, admin) -> None:
    before = locked.log()
    assert before.count(admin) == 1
    for file in locked.home.rglob("*"):
        if file.is_file():
            assert admin.encode() not in file.read_bytes(), file
    lines = [json.loads(line) for line in (locked.home / "logs" / "audit.jsonl").read_text().splitlines()]
    assert [line["act"] for line in lines[:2]] == ["create_first_key", "launch_model"]


def test_over_plain_http(locked, admin, user) -> None:
    def chat(model: str = "m", **headers: str) -> httpx.Response:
        body = {"model": model, "messages": CHAT}
        return httpx.post(f"{locked.url}/v1/chat/completions", json=body, headers=headers)

    assert httpx.get(f"{locked.url}/v1/cluster/auth").json() == {"auth": True}
    refused = chat()
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert chat(Authorization=f"Bearer {user}").status_code == 200
    assert chat(**{"x-api-key": user}).status_code == 200
    assert chat("other", Authorization=f"Bearer {user}").status_code == 403
    assert chat("other", Authorization=f"Bearer {admin}").status_code == 200


def test_our_client(locked, user, monkeypatch) -> None:
    with Client(locked.url) as stranger, pytest.raises(ClientError) as caught:
        stranger.list_models()
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    monkeypatch.setenv("ENGINEHOUSE_API_KEY", user)
    with Client(locked.url) as client:
        assert client.get_model("m").chat(CHAT)["choices"]
        assert len(list(client.get_model("m").chat(CHAT, generate_config={"stream": True}))) > 2
        with pytest.raises(ClientError, match="does not have access to model: other"):
            client.get_model("other").chat(CHAT)
        with pytest.raises(ClientError, match="API keys can only access model query and inference endpoints"):
            client.terminate_model("m")
        with pytest.raises(ClientError, match="API keys can only access"):
            client.list_keys()


def test_our_client_logs_in(locked, user) -> None:
    with Client(locked.url) as client:
        client.login("anybody", user)
        assert "m" in client.list_models()

    async def asynchronously() -> None:
        async with AsyncClient(locked.url) as client:
            await client.login("anybody", user)
            assert "m" in await client.list_models()
            with pytest.raises(ClientError, match="Could not validate credentials"):
                await client.login("anybody", "wrong")

    asyncio.run(asynchronously())


def test_the_openai_package(locked, user) -> None:
    client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key=user, max_retries=0)
    assert client.chat.completions.create(model="m", messages=CHAT).choices
    chunks = list(client.chat.completions.create(model="m", messages=CHAT, stream=True))
    assert chunks[-1].choices[0].finish_reason
    assert "m" in [model.id for model in client.models.list()]
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="other", messages=CHAT)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="eh-wrong", max_retries=0).models.list()


def test_the_openai_package_over_budget(locked, admin) -> None:
    with Client(locked.url, admin) as boss:
        by_tokens = boss.create_key("tokens", tokens_per_day=1)["key"]
        by_rate = boss.create_key("rate", requests_per_minute=1)["key"]
    for key in (by_tokens, by_rate):
        client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key=key, max_retries=0)
        assert list(client.chat.completions.create(model="m", messages=CHAT, stream=True))
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="m", messages=CHAT)
        assert int(caught.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_anthropic_package(locked, admin, user, stream) -> None:
    def ask(key: str, model: str = "m") -> None:
        client = anthropic.Anthropic(base_url=locked.url, api_key=key, max_retries=0)
        if not stream:
            assert client.messages.create(model=model, messages=CHAT, max_tokens=9).content
            return
        with client.messages.stream(model=model, messages=CHAT, max_tokens=9) as events:
            assert list(events)

    ask(user)
    with pytest.raises(anthropic.PermissionDeniedError):
        ask(user, "other")
    with pytest.raises(anthropic.AuthenticationError) as caught:
        ask("eh-wrong")
    assert caught.value.body["error"]["type"] == "authentication_error"
    with Client(locked.url, admin) as boss:
        bounded = boss.create_key("tokens", tokens_per_day=1)
        ask(bounded["key"])
        with pytest.raises(anthropic.RateLimitError):
            ask(bounded["key"])
        used = {key["key_id"]: key["tokens_today"] for key in boss.list_keys()}[bounded["key_id"]]
    assert used > 3


def test_the_responses_of_openai(locked, admin, user) -> None:
    client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key=user, max_retries=0)
    assert client.responses.create(model="m", input="hello").output_text
    with pytest.raises(openai.PermissionDeniedError):
        client.responses.create(model="other", input="hello")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="eh-x", max_retries=0).responses.create(model="m", input="h")


def test_a_response_belongs_to_the_key_that_made_it(locked, admin, user) -> None:
    with Client(locked.url, admin) as boss:
        other = str(boss.create_key("other", models=["m"])["key"])
    mine, theirs, everybodys = (
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key=key, max_retries=0) for key in (user, other, admin)
    )
    kept = mine.responses.create(model="m", input="hello").id
    assert mine.responses.retrieve(kept).id == kept
    for stranger in (theirs, everybodys):
        with pytest.raises(openai.NotFoundError):
            stranger.responses.retrieve(kept)
        with pytest.raises(openai.NotFoundError):
            stranger.responses.delete(kept)
        with pytest.raises(openai.BadRequestError, match="another key made it"):
            stranger.responses.create(model="m", input="and?", previous_response_id=kept)
    assert mine.responses.create(model="m", input="and?", previous_response_id=kept).output_text
    login = httpx.post(f"{locked.url}/token", json={"username": "ann", "password": user}).json()[
        "access_token"
    ]  # a login is its key
    headers = {"Authorization": f"Bearer {login}"}
    assert httpx.delete(f"{locked.url}/v1/responses/{kept}", headers=headers).json()["deleted"]
    with pytest.raises(openai.NotFoundError):
        mine.responses.retrieve(kept)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/models?all=true", lambda body: {one["id"] for one in body["data"]}),
        ("/v1/models/instances", lambda body: {one["model_uid"] for one in body}),
        ("/anthropic/v1/models", lambda body: {one["id"] for one in body["data"]}),
        ("/status", lambda body: set(body["models"])),
    ],
)
def test_a_key_sees_the_models_that_it_may_use(locked, admin, user, path, named) -> None:
    def seen(key: str) -> set[str]:
        return named(httpx.get(f"{locked.url}{path}", headers={"x-api-key": key}).json())

    assert seen(user) == {"m"} and seen(admin) >= {"m", "other"}
    if path == "/status":
        assert seen("") == seen("eh-wrong") == set()


@pytest.mark.parametrize("path", ["", "/replicas", "/events", "/progress"])
def test_of_other_models_a_key_sees_nothing(locked, admin, user, path) -> None:
    def status(uid: str, key: str) -> int:
        return httpx.get(f"{locked.url}/v1/models/{uid}{path}", headers={"x-api-key": key}).status_code

    assert (status("m", user), status("other", user), status("other", admin)) == (200, 403, 200)
    refused = httpx.get(f"{locked.url}/anthropic/v1/models/other", headers={"x-api-key": user})
    assert refused.status_code == 403 and "does not have access to model: other" in refused.text


def test_the_xinference_client(locked, admin, user) -> None:
    client = RESTfulClient(locked.url, user)
    assert client.get_model("m").chat(CHAT)["choices"]
    with pytest.raises(RuntimeError, match="does not have access to model: other"):
        client.get_model("other").chat(CHAT)
    with pytest.raises(RuntimeError, match="API keys can only access"):
        client.terminate_model("m")
    stranger = RESTfulClient(locked.url)
    with pytest.raises(RuntimeError, match="Could not validate credentials"):
        stranger.list_models()
    with pytest.raises(RuntimeError, match="Could not validate credentials"):
        stranger.login("admin", "wrong")
    stranger.login("admin", admin)
    uid = stranger.launch_model("fake-model", model_engine="fake", model_uid="mine")
    assert uid in stranger.list_models()
    stranger.terminate_model(uid)


def test_the_asynchronous_xinference_client(locked, user) -> None:
    async def use() -> None:
        client = AsyncRESTfulClient(locked.url)
        await client.login("ann", user)
        model = await client.get_model("m")
        assert (await model.chat(CHAT))["choices"]
        await model.close()
        await client.close()

    asyncio.run(use())


def test_the_command_line(locked, admin, user) -> None:
    refused = locked.cli("list")
    assert refused.returncode == 1
    assert "Could not validate credentials" in refused.stderr
    assert locked.cli("list", "-ak", user).returncode == 0
    assert locked.cli("login", stdin="eh-wrong\n").returncode == 1
    kept = locked.cli("login", stdin=f"{admin}\n")
    assert kept.returncode == 0, kept.stderr
    file = locked.home / "logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = locked.cli("keys", "create", "web", "--model", "m", "--expires", "1h", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["expires_ts"] - key["created_ts"] == pytest.approx(3600)
    assert locked.cli("generate", "m", "hi", "-ak", key["key"]).returncode == 0
    assert key["key_id"] in locked.cli("keys", "list").stdout
    assert locked.cli("keys", "revoke", key["key_id"]).returncode == 0
    assert "disabled" in locked.cli("generate", "m", "hi", "-ak", key["key"]).stderr
    assert locked.cli("keys", "revoke", "nonesuch").returncode == 1
    in_use = locked.cli("keys", "list", "--local")
    assert (in_use.returncode, "in use" in in_use.stderr) == (1, True)
    assert locked.cli("login", "--forget").returncode == 0
    assert locked.cli("list").returncode == 1


def test_keys_without_a_server_and_after_restarts(new_server, tmp_path) -> None:
    server = new_server()
    server.stop()
    made = server.cli("keys", "create", "boss", "--admin", "--local")
    assert made.returncode == 0, made.stderr
    boss = made.stdout.strip()
    server.variables["ENGINEHOUSE_REQUIRE_KEY"] = "1"
    server.start()
    assert not FIRST.search(server.log())
    with Client(server.url, boss) as client:
        user = client.create_key("ann", tokens_per_day=10**6)
        client.launch_model("fake-model", model_engine="fake", model_uid="m", tokens=3)
        with Client(server.url, user["key"]) as own:
            own.get_model("m").chat(CHAT)
        used = {key["name"]: key["tokens_today"] for key in client.list_keys()}["ann"]
        assert used > 0
        revoked = client.create_key("gone")
        client.revoke_key(revoked["key_id"])
    server.stop()
    server.start()
    with Client(server.url, boss) as client:
        assert {key["name"]: key["tokens_today"] for key in client.list_keys()} == {"boss": 0, "ann": used}
        with pytest.raises(ClientError, match="disabled"):
            Client(server.url, revoked["key"]).list_models()


def test_a_server_that_is_open(server) -> None:
    assert httpx.get(f"{server.url}/v1/cluster/auth").json() == {"auth": False}
    with Client(server.url, "whatever") as client:
        client.login("any", "thing")
        client.list_models()
    assert httpx.get(f"{server.url}/v1/models", headers={"Authorization": "Bearer x"}).status_code == 200
