"""Responses that clients may refer back to, kept in the database: so many for each key, and for so long."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import sqlalchemy as sa

from .store import Store, make_tables

MOST_KEPT = 1000  # conversations under way at one time; each holds all that was said before it
KEPT_SECONDS = 30 * 24 * 3600.0  # as long as OpenAI keeps its own
NOBODY = ""  # whose a response is that was made where no keys are asked for

Json = dict[str, Any]

_metadata = sa.MetaData()
_responses = sa.Table(
    "responses",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(100), nullable=False, unique=True),
    sa.Column("created_ts", sa.Float, nullable=False),
    sa.Column("kept", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(32)),
)


class KeptResponse(msgspec.Struct, frozen=True):
    """A response as it was answered, and the whole conversation that ends with it (chat messages, without the
    instructions, which are each request's own)."""

    response: Json
    messages: list[Json]


_decode = msgspec.json.Decoder(KeptResponse)


class KeptResponses:
    """most: the oldest of a key beyond so many go; 0 keeps none. seconds: those older go with the next that comes.

    key_id, everywhere: the key that a request came with, which finds what it made itself and nothing else; None where
    no keys are asked for, which finds everything.
    """

    def __init__(self, store: Store, most: int = MOST_KEPT, seconds: float = KEPT_SECONDS) -> None:
        self._store = store
        self._most = most
        self._seconds = seconds
        self._made = False

    async def keep(self, response_id: str, kept: KeptResponse, key_id: str | None = None) -> None:
        """Raises StateUnavailable."""
        if not self._most or not self._seconds:
            return
        body = msgspec.json.encode(kept).decode()
        row = {"id": response_id, "created_ts": time.time(), "kept": body, "key_id": key_id or NOBODY}
        await self._make()
        await self._store.write(lambda connection: _put(connection, row, self._most, self._seconds))

    async def get(self, response_id: str, key_id: str | None = None) -> KeptResponse | None:
        """None where there is none that this key may see. Raises StateUnavailable."""
        await self._make()
        since = time.time() - self._seconds
        return await self._store.read(lambda connection: _get(connection, response_id, key_id, since))

    async def forget(self, response_id: str, key_id: str | None = None) -> bool:
        """Whether it was there. Raises StateUnavailable."""
        known = await self.get(response_id, key_id) is not None
        if known:
            await self._store.write(lambda connection: _remove(connection, response_id))
        return known

    async def _make(self) -> None:
        if not self._made:
            await self._store.write(lambda connection: make_tables(connection, _metadata))
            self._made = True


def _put(connection: sa.Connection, row: Json, most: int, seconds: float) -> None:
    connection.execute(_responses.insert().values(**row))
    connection.execute(_responses.delete().where(_responses.c.created_ts < row["created_ts"] - seconds))
    own = _responses.c.key_id == row["key_id"]
    kept = sa.select(_responses.c.number).where(own).order_by(_responses.c.number.desc()).limit(most)
    oldest = connection.execute(sa.select(sa.func.min(kept.subquery().c.number))).scalar()
    if oldest is not None:
        connection.execute(_responses.delete().where(own & (_responses.c.number < oldest)))


def _get(connection: sa.Connection, response_id: str, key_id: str | None, since: float) -> KeptResponse | None:
    wanted = (_responses.c.id == response_id) & (_responses.c.created_ts >= since)
    if key_id is not None:
        wanted &= _responses.c.key_id == key_id
    row = connection.execute(sa.select(_responses.c.kept).where(wanted)).first()
    connection.rollback()
    return None if row is None else _decode.decode(row[0])


def _remove(connection: sa.Connection, response_id: str) -> None:
    connection.execute(_responses.delete().where(_responses.c.id == response_id))
