"""Keys: who may use this server. Kept in the database as hashes, checked in memory.

A secret holds 256 random bits, so its SHA-256 needs neither salt nor a slow hash, and looking a hash up tells
nothing by its timing about secrets that are not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from ..sdk import BadRequest, EnginehouseError
from ..sdk.errors import Unauthenticated
from .account import DAY, EVERY_MODEL, Account, Key
from .settings import Settings
from .store import StateUnavailable, Store

PREFIX, ACCESS_PREFIX, REFRESH_PREFIX = "eh-", "eh-access-", "eh-refresh-"
SECRET_BYTES = 32
HINT_CHARACTERS = len(PREFIX) + 4
ACCESS_SECONDS = 12 * 3600  # a working day: clients that log in once when they start do not renew
REFRESH_SECONDS = 7 * DAY
TOKENS_A_KEY = 100  # logins of one key that are valid at once; the oldest goes first
USAGE_SECONDS = 10.0  # counts lost by a crash are at most so old

logger = logging.getLogger(__name__)

_metadata = sa.MetaData()
_keys = sa.Table(
    "keys",
    _metadata,
    sa.Column("key_id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),
)
_usage = sa.Table(
    "key_usage",
    _metadata,
    sa.Column("key_id", sa.String(32), primary_key=True),
    sa.Column("day", sa.Integer, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class KeyNotFound(EnginehouseError):
    """There is no key of this id."""

    status, code, kind = 404, "key_not_found", "invalid_request_error"


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made: the body of `POST /v1/keys`. expires_in: seconds; null for never."""

    name: Name
    role: Literal["user", "admin"] = "user"
    models: tuple[Name, ...] | None = None
    requests_per_minute: Amount | None = None
    tokens_per_day: Amount | None = None
    expires_in: Annotated[float, msgspec.Meta(gt=0, le=100 * 365 * DAY)] | None = None


class MadeKey(NamedTuple):
    """A key just made; its secret is known only now."""

    key: Key
    secret: str


class Login(NamedTuple):
    """What a key was exchanged for. Kept in memory: a restart of the server ends it."""

    access_token: str
    refresh_token: str


class _Token(NamedTuple):
    account: Account
    until: float  # seconds since 1970
    refreshes: bool


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server that listens on `host`. A name is not looked up."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def asks_for_keys(settings: Settings) -> bool:
    """Whether a server with these settings answers only those who have a key."""
    return settings.require_key or not (settings.insecure or is_loopback(settings.host))


def check_openness(settings: Settings) -> None:
    """Raises BadRequest for settings that would let anyone on the network run code on this machine."""
    if settings.trust_remote_code and not asks_for_keys(settings) and not is_loopback(settings.host):
        raise BadRequest(
            f"With --insecure on {settings.host}, ENGINEHOUSE_TRUST_REMOTE_CODE would let anyone who reaches this "
            "server run code on it. Leave one of the two out."
        )


def read_new_key(body: object) -> NewKey:
    """Checks what a caller sent. Raises BadRequest that names the field."""
    try:
        wish = msgspec.convert(body, NewKey)
    except msgspec.ValidationError as error:
        raise BadRequest(f"This key cannot be made: {error}.") from error
    if wish.role == "admin" and (wish.models, wish.requests_per_minute, wish.tokens_per_day) != (None, None, None):
        raise BadRequest("An admin key may do everything: leave out its models and budgets.", param="role")
    return wish


class Keys:
    """All keys, by id and by the hash of their secrets. required: whether requests need one."""

    def __init__(self, store: Store, required: bool, accounts: dict[bytes, Account]) -> None:
        self.required = required
        self._store = store
        self._accounts = accounts
        self._tokens: dict[bytes, _Token] = {}

    def check(self, secret: bytes | None) -> Account:
        """Whose secret this is: a key's, or an access token's. Raises Unauthenticated."""
        if not secret:
            raise Unauthenticated(
                "Could not validate credentials: this server asks for a key. Send it as `Authorization: Bearer KEY` "
                "or `x-api-key: KEY`; its administrator makes one with `enginehouse keys create`."
            )
        digest = sha256(secret).digest()
        account = self._accounts.get(digest)
        if account is None:
            account = self._holder(digest, refreshes=False)
        account.check_valid(time.time())
        return account

    def all(self) -> list[Account]:
        """Oldest first, also those that were revoked or have expired."""
        return sorted(self._accounts.values(), key=lambda account: account.key.created_ts)

    async def create(self, wish: NewKey) -> MadeKey:
        """Makes a key. Raises StateUnavailable when it could not be kept."""
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        now = time.time()
        key = Key(
            key_id=secrets.token_hex(6),
            name=wish.name,
            role=wish.role,
            models=EVERY_MODEL if wish.models is None else wish.models,
            requests_per_minute=wish.requests_per_minute,
            tokens_per_day=wish.tokens_per_day,
            created_ts=now,
            expires_ts=None if wish.expires_in is None else now + wish.expires_in,
            hint=secret[:HINT_CHARACTERS],
        )
        digest = sha256(secret.encode()).digest()
        await self._store.write(lambda connection: _insert(connection, digest, key))
        self._accounts[digest] = Account(key)
        return MadeKey(key, secret)

    async def create_first(self) -> MadeKey | None:
        """An admin key where keys are asked for and there is none, so that somebody can get in."""
        if not self.required or self._accounts:
            return None
        return await self.create(NewKey(name="first", role="admin"))

    def has_admin(self) -> bool:
        """Whether somebody can administer the server with a key."""
        now = time.time()
        return any(account.is_admin and account.state(now) == "valid" for account in self._accounts.values())

    async def revoke(self, key_id: str) -> Key:
        """Ends a key, and what it was exchanged for. Raises KeyNotFound, StateUnavailable."""
        account = self.find(key_id)
        if account.key.revoked_ts is None:
            revoked = msgspec.structs.replace(account.key, revoked_ts=time.time())
            await self._store.write(lambda connection: _update(connection, revoked))
            account.key = revoked
            self._tokens = {digest: token for digest, token in self._tokens.items() if token.account is not account}
        return account.key

    def find(self, key_id: str) -> Account:
        """Raises KeyNotFound."""
        for account in self._accounts.values():
            if account.key.key_id == key_id:
                return account
        raise KeyNotFound(
            f"There is no key with the id {key_id!r}; `enginehouse keys list` shows the ids.", param="key_id"
        )

    def log_in(self, secret: str) -> Login:
        """Exchanges a key's secret for tokens that do not live long. Raises Unauthenticated."""
        account = self._accounts.get(sha256(secret.encode()).digest())
        if account is None:
            raise _unknown()
        account.check_valid(time.time())
        return self._issue(account)

    def refresh(self, token: str) -> Login:
        """Exchanges a refresh token for new ones; it is used up. Raises Unauthenticated."""
        digest = sha256(token.encode()).digest()
        account = self._holder(digest, refreshes=True)
        account.check_valid(time.time())
        del self._tokens[digest]
        return self._issue(account)

    async def keep_usage(self) -> None:
        """Writes what was used since the last time."""
        changed = [account for account in self._accounts.values() if account.changed]
        if not changed:
            return
        rows = [{"key_id": one.key.key_id, "day": one.day, "tokens": one.tokens} for one in changed]
        for account in changed:
            account.changed = False
        try:
            await self._store.write(lambda connection: _put_usage(connection, rows))
        except StateUnavailable as error:
            logger.warning("what keys have used was not kept: %s", error)
            for account in changed:
                account.changed = True

    def _holder(self, digest: bytes, *, refreshes: bool) -> Account:
        token = self._tokens.get(digest)
        if token is None or token.refreshes is not refreshes:
            raise _unknown()
        if time.time() >= token.until:
            del self._tokens[digest]
            raise Unauthenticated("Could not validate credentials: this login has expired. Log in again.")
        return token.account

    def _issue(self, account: Account) -> Login:
        now = time.time()
        self._tokens = {digest: token for digest, token in self._tokens.items() if token.until > now}
        own = [digest for digest, token in self._tokens.items() if token.account is account]
        for digest in own[: max(0, len(own) + 2 - 2 * TOKENS_A_KEY)]:
            del self._tokens[digest]
        access = ACCESS_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        refresh = REFRESH_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        self._tokens[sha256(access.encode()).digest()] = _Token(account, now + ACCESS_SECONDS, False)
        self._tokens[sha256(refresh.encode()).digest()] = _Token(account, now + REFRESH_SECONDS, True)
        return Login(access, refresh)


@asynccontextmanager
async def open_keys(store: Store, required: bool) -> AsyncIterator[Keys]:
    """Reads the keys, and keeps what they use. Raises StateUnavailable."""
    await store.write(lambda connection: _metadata.create_all(connection))
    keys = Keys(store, required, await store.read(_read))
    keeping = asyncio.create_task(_keep_usage(keys))
    try:
        yield keys
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await keys.keep_usage()


async def _keep_usage(keys: Keys) -> None:
    while True:
        await asyncio.sleep(USAGE_SECONDS)
        await keys.keep_usage()


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "Could not validate credentials: this server knows no such key or login. Check it, or ask its administrator."
    )


def _insert(connection: sa.Connection, digest: bytes, key: Key) -> None:
    connection.execute(_keys.insert().values(key_id=key.key_id, digest=digest, body=_body(key)))


def _update(connection: sa.Connection, key: Key) -> None:
    connection.execute(_keys.update().where(_keys.c.key_id == key.key_id).values(body=_body(key)))


def _body(key: Key) -> str:
    return msgspec.json.encode(key).decode()


def _put_usage(connection: sa.Connection, rows: list[dict[str, object]]) -> None:
    ids = [row["key_id"] for row in rows]
    connection.execute(_usage.delete().where(_usage.c.key_id.in_(ids)))
    connection.execute(_usage.insert(), rows)


def _read(connection: sa.Connection) -> dict[bytes, Account]:
    usage = {row.key_id: row for row in connection.execute(_usage.select())}
    rows = connection.execute(_keys.select()).all()
    connection.rollback()
    accounts: dict[bytes, Account] = {}
    for row in rows:
        used = usage.get(row.key_id)
        try:
            key = msgspec.json.decode(row.body, type=Key)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            logger.error("Key %s cannot be read from the database (%s); nobody can use it.", row.key_id, error)
            continue
        accounts[bytes(row.digest)] = Account(key, used.day, used.tokens) if used else Account(key)
    return accounts
