"""Keys: made, found again after a restart, refused; what is kept of them; budgets."""

import asyncio
import time
from pathlib import Path

import pytest

from enginehouse.host.account import DAY, Account, Key, OverBudget
from enginehouse.host.keys import (
    TOKENS_A_KEY,
    KeyNotFound,
    NewKey,
    asks_for_keys,
    check_openness,
    is_loopback,
    open_keys,
    read_new_key,
)
from enginehouse.host.settings import Settings, settings_from
from enginehouse.host.store import open_store
from enginehouse.sdk import BadRequest, NotAllowed
from enginehouse.sdk.errors import Unauthenticated

USER = NewKey(name="ann", models=("qwen*", "stoker"), requests_per_minute=3, tokens_per_day=100)


def key(**fields: object) -> Key:
    return Key(**{"key_id": "k", "name": "n", "role": "user", "created_ts": 0.0, **fields})


async def test_a_key_outlives_the_server_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    store = await open_store(f"sqlite:///{file}")
    async with open_keys(store, True) as keys:
        made = await keys.create(USER)
        assert made.secret.startswith("eh-") and len(made.secret) > 40
        assert keys.check(made.secret.encode()).key == made.key
        keys.find(made.key.key_id).charge(40, time.time())
    await store.close()
    content = b"".join(part.read_bytes() for part in tmp_path.glob("state.db*"))
    assert made.secret.encode() not in content and made.secret[8:].encode() not in content
    assert made.key.hint.encode() in content

    store = await open_store(f"sqlite:///{file}")
    async with open_keys(store, True) as keys:
        account = keys.check(made.secret.encode())
        assert account.key == made.key
        assert account.used(time.time()) == 40
        await keys.revoke(made.key.key_id)
        await keys.revoke(made.key.key_id)
        with pytest.raises(Unauthenticated, match="API key is disabled"):
            keys.check(made.secret.encode())
    await store.close()
    store = await open_store(f"sqlite:///{file}")
    async with open_keys(store, True) as keys:
        with pytest.raises(Unauthenticated, match="API key is disabled"):
            keys.check(made.secret.encode())
        assert await keys.create_first() is None
    await store.close()


@pytest.fixture
async def keys(tmp_path: Path):
    store = await open_store(f"sqlite:///{tmp_path / 'state.db'}")
    async with open_keys(store, True) as opened:
        yield opened
    await store.close()


@pytest.mark.parametrize("secret", [None, b"", b"eh-nonesuch", b"\xff\xfe"])
async def test_secrets_that_are_not_known(keys, secret) -> None:
    with pytest.raises(Unauthenticated, match="Could not validate credentials"):
        keys.check(secret)


async def test_a_key_that_expires(keys) -> None:
    made = await keys.create(NewKey(name="short", expires_in=1.0))
    login = keys.log_in(made.secret)
    await asyncio.sleep(1.01)
    for secret in (made.secret, login.access_token):
        with pytest.raises(Unauthenticated, match="API key has expired"):
            keys.check(secret.encode())


async def test_the_first_key_is_made_once(keys) -> None:
    assert not keys.has_admin()
    first = await keys.create_first()
    assert first and first.key.role == "admin"
    assert keys.has_admin()
    assert await keys.create_first() is None
    await keys.revoke(first.key.key_id)
    assert not keys.has_admin()
    assert await keys.create_first() is None


async def test_a_login_stands_for_its_key_and_ends_with_it(keys) -> None:
    made = await keys.create(USER)
    login = keys.log_in(made.secret)
    assert keys.check(login.access_token.encode()).key == made.key
    with pytest.raises(Unauthenticated):
        keys.check(login.refresh_token.encode())
    again = keys.refresh(login.refresh_token)
    assert keys.check(again.access_token.encode()).key == made.key
    for used_up in (login.refresh_token, again.access_token, made.secret, ""):
        with pytest.raises(Unauthenticated):
            keys.refresh(used_up)
    for wrong in ("", "eh-nonesuch", again.access_token):
        with pytest.raises(Unauthenticated):
            keys.log_in(wrong)
    await keys.revoke(made.key.key_id)
    for token in (login.access_token, again.access_token):
        with pytest.raises(Unauthenticated):
            keys.check(token.encode())


async def test_logins_of_one_key_are_bounded(keys) -> None:
    made, other = await keys.create(USER), await keys.create(USER)
    kept = keys.log_in(other.secret)
    first = keys.log_in(made.secret)
    for _ in range(TOKENS_A_KEY):
        last = keys.log_in(made.secret)
    with pytest.raises(Unauthenticated):
        keys.check(first.access_token.encode())
    assert keys.check(last.access_token.encode()) is keys.find(made.key.key_id)
    assert keys.check(kept.access_token.encode()) is keys.find(other.key.key_id)


async def test_a_key_that_is_not_there(keys) -> None:
    with pytest.raises(KeyNotFound, match="nonesuch"):
        await keys.revoke("nonesuch")


def test_models_of_a_key() -> None:
    account = Account(key(models=("qwen*", "a.b")))
    for model in ("qwen3", "qwen", "a.b"):
        account.admit(model, 0.0, 0.0)
    for model in ("aqwen", "axb", "", "QWEN"):
        with pytest.raises(NotAllowed, match="API key does not have access to model: "):
            account.admit(model, 0.0, 0.0)
    with pytest.raises(NotAllowed):
        Account(key(models=())).admit("", 0.0, 0.0)
    Account(key()).admit("anything", 0.0, 0.0)


def test_requests_a_minute() -> None:
    account = Account(key(requests_per_minute=4))
    for _ in range(4):
        account.admit("m", 0.0, 1000.0)
    with pytest.raises(OverBudget) as refused:
        account.admit("m", 0.0, 1000.0)
    assert refused.value.retry_after == 15
    account.admit("m", 0.0, 1015.0)
    with pytest.raises(OverBudget):
        account.admit("m", 0.0, 1015.0)
    for _ in range(4):
        account.admit("m", 0.0, 1075.0)


def test_tokens_a_day() -> None:
    account = Account(key(tokens_per_day=10))
    noon = 20_000 * DAY + DAY / 2
    account.admit("m", noon, 0.0)
    account.charge(15, noon)
    with pytest.raises(OverBudget, match="15 of its 10") as refused:
        account.admit("m", noon, 0.0)
    assert refused.value.retry_after == DAY / 2
    account.admit("m", noon + DAY / 2, 0.0)
    assert account.used(noon + DAY / 2) == 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LocalHost.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.7", False),
        ("::ffff:10.0.0.7", False),
        ("localhost.example.com", False),
        ("gpu-box", False),
    ],
)
def test_which_hosts_need_keys(tmp_path: Path, host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert asks_for_keys(Settings(home=tmp_path, host=host)) is not expected
    assert asks_for_keys(Settings(home=tmp_path, host=host, require_key=True))
    assert not asks_for_keys(Settings(home=tmp_path, host=host, insecure=True))
    assert asks_for_keys(Settings(home=tmp_path, host=host, insecure=True, require_key=True))


def test_keys_are_asked_for_by_the_environment(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert asks_for_keys(settings_from({"ENGINEHOUSE_HOME": home, "ENGINEHOUSE_REQUIRE_KEY": "1"}))
    assert asks_for_keys(settings_from({"ENGINEHOUSE_HOME": home, "ENGINEHOUSE_HOST": "0.0.0.0"}))
    open_to_all = {"ENGINEHOUSE_HOME": home, "ENGINEHOUSE_HOST": "0.0.0.0", "ENGINEHOUSE_INSECURE": "true"}
    assert not asks_for_keys(settings_from(open_to_all))


def test_an_open_server_on_the_network_runs_no_remote_code(tmp_path: Path) -> None:
    def settings(**fields: object) -> Settings:
        return Settings(home=tmp_path, trust_remote_code=True, **fields)

    with pytest.raises(BadRequest, match="run code"):
        check_openness(settings(host="0.0.0.0", insecure=True))
    with_key = {"host": "0.0.0.0", "insecure": True, "require_key": True}
    for fine in ({}, {"insecure": True}, {"host": "0.0.0.0"}, with_key):
        check_openness(settings(**fine))
    check_openness(Settings(home=tmp_path, host="0.0.0.0", insecure=True))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "object"),
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "x", "modles": []}, "modles"),
        ({"name": "x", "requests_per_minute": 0}, "requests_per_minute"),
        ({"name": "x", "tokens_per_day": 1.5}, "tokens_per_day"),
        ({"name": "x", "expires_in": 0}, "expires_in"),
        ({"name": "x", "role": "admin", "models": ["m"]}, "admin"),
    ],
)
def test_keys_that_cannot_be(body: object, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read_new_key(body)
