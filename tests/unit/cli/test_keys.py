"""`enginehouse keys` on a home without a server and with one, and `enginehouse login`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from enginehouse.cli.commands.keys import read_duration

LOCKED = {"GET /v1/cluster/auth": [{"json": {"auth": True}}]}
REFUSED = {"detail": "Could not validate credentials", "error": {"message": "no", "code": "invalid_api_key"}}


def home() -> Path:
    return Path(os.environ["ENGINEHOUSE_HOME"])


def test_keys_of_a_home_without_a_server(run: Any) -> None:
    made = run("keys", "create", "boss", "--admin", "--local")
    assert made.status == 0, made.err
    assert made.out.startswith("eh-") and "admin key" in made.err
    wishes = ("--model", "a*", "--requests-per-minute", "5", "--tokens-per-day", "9", "--expires", "2w")
    key = json.loads(run("keys", "create", "ann", "--local", "--json", *wishes).out)
    assert (key["models"], key["requests_per_minute"], key["tokens_per_day"]) == (["a*"], 5, 9)
    assert run("keys", "revoke", key["key_id"], "--local").status == 0
    listed = json.loads(run("keys", "list", "--local", "--json").out)
    assert [one["name"] for one in listed] == ["boss"]
    table = run("keys", "list", "--local", "--all").out
    assert "revoked" in table and "boss" in table
    assert made.out.strip() not in table
    acts = [json.loads(line)["act"] for line in (home() / "logs" / "audit.jsonl").read_text().splitlines()]
    assert acts == ["create_key", "create_key", "revoke_key"]


def test_keys_where_no_server_answers(run: Any, unused_address: str) -> None:
    assert run("keys", "list", "-e", unused_address).status == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create",), "NAME"),
        (("create", "x", "--expires", "soon"), "soon"),
        (("create", "x", "--model", "m", "--no-models"), "exclude"),
        (("revoke",), "ID"),
    ],
)
def test_wrong_usage(run: Any, arguments: tuple[str, ...], says: str) -> None:
    ended = run("keys", *arguments, "--local")
    assert (ended.status, says in ended.err) == (2, True)


def test_what_cannot_be(run: Any) -> None:
    ended = run("keys", "create", "x", "--admin", "--model", "m", "--local")
    assert (ended.status, "admin key" in ended.err) == (1, True)
    ended = run("keys", "revoke", "nonesuch", "--local")
    assert (ended.status, "nonesuch" in ended.err) == (1, True)


def test_keys_by_a_server(run: Any, server: Any) -> None:
    key = {"key_id": "k1", "name": "ann", "role": "user", "key": "eh-secret", "hint": "eh-secr", "state": "valid"}
    script = {"POST /v1/keys": [{"json": {**key, "models": []}}], "DELETE /v1/keys/k1": [{"json": None}]}
    server.play({**LOCKED, **script, "GET /v1/keys": [{"json": {"keys": [{**key, "models": []}]}}]})
    made = run("keys", "create", "ann", "--no-models", "--expires", "90m", "-e", server.url, "-ak", "eh-admin")
    assert (made.status, made.out) == (0, "eh-secret\n")
    asked = server.asked()[-1]
    assert asked["headers"]["authorization"] == "Bearer eh-admin"
    assert (asked["json"]["models"], asked["json"]["expires_in"], asked["json"]["role"]) == ([], 5400, "user")
    assert "none" in run("keys", "list", "-e", server.url).out
    assert run("keys", "revoke", "k1", "-e", server.url).status == 0


def test_a_login_is_kept_for_its_server_alone(run: Any, server: Any) -> None:
    server.play({**LOCKED, "GET /v1/models": [{"json": {"data": []}}]})
    assert run("login", "-e", f"{server.url}/", stdin="eh-mine\n").status == 0
    file = home() / "logins.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {server.url: "eh-mine"}
    assert run("list", "-e", server.url).status == 0
    assert server.asked()[-1]["headers"]["authorization"] == "Bearer eh-mine"
    run("list", "-e", server.url, "-ak", "eh-other")
    assert server.asked()[-1]["headers"]["authorization"] == "Bearer eh-other"
    run("list", "-e", server.url.replace("127.0.0.1", "localhost"))
    assert "authorization" not in server.asked()[-1]["headers"]
    assert run("login", "--forget", "-e", server.url).status == 0
    assert "no key" in run("login", "--forget", "-e", server.url).err
    run("list", "-e", server.url)
    assert "authorization" not in server.asked()[-1]["headers"]


def test_a_key_that_is_refused_is_not_kept(run: Any, server: Any) -> None:
    server.play({**LOCKED, "GET /v1/models": [{"status": 401, "json": REFUSED}]})
    ended = run("login", "-e", server.url, stdin="eh-wrong\n")
    assert (ended.status, "Could not validate" in ended.err) == (1, True)
    assert not (home() / "logins.json").exists()
    assert run("login", "-e", server.url).status == 2


def test_a_file_of_logins_that_makes_no_sense(run: Any, server: Any) -> None:
    server.play({"GET /v1/models": [{"json": {"data": []}}]})
    home().mkdir(parents=True)
    for content in ("[", "[]", ""):
        (home() / "logins.json").write_text(content)
        assert run("list", "-e", server.url).status == 0


def test_durations() -> None:
    found = [read_duration(text) for text in ("45s", "90m", "12h", "1.5d", "2W")]
    assert found == [45, 5400, 43200, 129600, 1209600]
    for text in ("", "soon", "5", "-1d", "1y"):
        with pytest.raises(ValueError, match="duration"):
            read_duration(text)
