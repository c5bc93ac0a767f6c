"""Calls about keys."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ..call import Call, Json

_KEYS = "/v1/keys"


def create_key(
    name: str,
    role: str = "user",
    models: list[str] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_day: int | None = None,
    expires_in: float | None = None,
) -> Call[Json]:
    """Makes a key; its secret is in `key`, now and never again.

    role: "user" for inference, "admin" for everything. models: uids or patterns of them; None for all.
    expires_in: seconds; None for never.
    """
    given: dict[str, Any] = {
        "name": name,
        "role": role,
        "models": models,
        "requests_per_minute": requests_per_minute,
        "tokens_per_day": tokens_per_day,
        "expires_in": expires_in,
    }
    return Call(action="create the key", method="POST", path=_KEYS, body=given, decode=dict)


def list_keys(any_state: bool = False) -> Call[list[Json]]:
    """Keys without their secrets. any_state: also those that were revoked or have expired."""
    return Call(
        action="list the keys",
        method="GET",
        path=_KEYS,
        query={"all": "true"} if any_state else {},
        decode=lambda answer: list(answer["keys"]),
    )


def revoke_key(key_id: str) -> Call[None]:
    """Ends a key, and what was logged in with it."""
    return Call(
        action="revoke the key", method="DELETE", path=f"{_KEYS}/{quote(key_id, safe='')}", decode=lambda answer: None
    )


def login(username: str, password: str) -> Call[str]:
    """Exchanges a key, as the password, for a token that does not live long; the client uses it from now on."""
    return Call(
        action="log in",
        method="POST",
        path="/token",
        body={"username": username, "password": password},
        decode=lambda answer: str(answer["access_token"]),
    )
