"""Routes of keys: made, listed, ended; and a key exchanged for a login that does not live long."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.keys import ACCESS_SECONDS, Login, NewKey, read_new_key
from ..sdk import BadRequest
from . import schemas
from .arrivals import read_body
from .permissions import needs
from .surface import TheHouse, answer, body_of, errors

BODY_BYTES = 64 * 1024  # a key's body is a name and some patterns

router = APIRouter(tags=["keys"])


class Credentials(msgspec.Struct, frozen=True):
    """Whoever has the key is the user: the name is only a name."""

    password: str
    username: str = ""


class Refresh(msgspec.Struct, frozen=True):
    refresh_token: str


@router.post(
    "/v1/keys",
    response_model=schemas.MadeKey,
    operation_id="create_key",
    summary="Make a key",
    responses=errors(e400="The key is described wrongly."),
    openapi_extra=body_of(NewKey),
)
@needs("admin")
async def create_key(request: Request, house: TheHouse) -> Response:
    """The secret is in `key`, in this answer and never again: only its hash is kept."""
    made = await house.keys.create(read_new_key(await _json(request)))
    return answer({**house.keys.find(made.key.key_id).describe(), "key": made.secret})


@router.get("/v1/keys", response_model=schemas.KeyList, operation_id="list_keys", summary="List the keys")
@needs("admin")
async def list_keys(house: TheHouse, all: bool = False) -> Response:
    """Those that can be used; with `all=true` also those that were revoked or have expired."""
    described = [account.describe() for account in house.keys.all()]
    return answer({"keys": [one for one in described if all or one["state"] == "valid"]})


@router.delete(
    "/v1/keys/{key_id}",
    response_model=None,
    operation_id="revoke_key",
    summary="Revoke a key",
    responses=errors(e404="There is no such key."),
)
@needs("admin")
async def revoke_key(key_id: str, house: TheHouse) -> Response:
    """From this moment on it is refused, and so are logins made with it. Requests that run may end."""
    await house.keys.revoke(key_id)
    return answer(None)


@router.post(
    "/token",
    response_model=schemas.Login,
    operation_id="log_in",
    summary="Exchange a key for a login",
    responses=errors(e400="The body is not as described.", e401="There is no such key."),
    openapi_extra=body_of(Credentials),
)
@needs("public")
async def log_in(request: Request, house: TheHouse) -> Response:
    """`{"username": ..., "password": KEY}`; the name may be anything. For programs that know `client.login`."""
    try:
        credentials = msgspec.convert(await _json(request), Credentials)
    except msgspec.ValidationError as error:
        raise BadRequest(f"A login is a username and a password, which is the key: {error}.") from error
    return _login(house.keys.log_in(credentials.password))


@router.post(
    "/v1/auth/refresh",
    response_model=schemas.Login,
    operation_id="refresh_login",
    summary="Renew a login",
    responses=errors(e400="The body is not as described.", e401="The token is used up, or too old."),
    openapi_extra=body_of(Refresh),
)
@needs("public")
async def refresh_login(request: Request, house: TheHouse) -> Response:
    """`{"refresh_token": ...}`; that token is used up."""
    try:
        refresh = msgspec.convert(await _json(request), Refresh)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Say which login to renew: {error}.", param="refresh_token") from error
    return _login(house.keys.refresh(refresh.refresh_token))


def _login(login: Login) -> Response:
    return answer({**login._asdict(), "token_type": "bearer", "expires_in": ACCESS_SECONDS})


async def _json(request: Request) -> Any:
    length = request.headers.get("content-length")
    body = await read_body(request.receive, int(length) if length else None, BODY_BYTES)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
