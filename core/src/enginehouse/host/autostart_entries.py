"""Standing orders about models that are started with the server, kept in the database."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa

from .launch_request import LaunchRequest
from .store import Store

logger = logging.getLogger(__name__)

_metadata = sa.MetaData()
_entries = sa.Table(
    "autostart",
    _metadata,
    sa.Column("uid", sa.String(100), primary_key=True),
    sa.Column("entry", sa.Text, nullable=False),
)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is started with the server. priority: lower ones first.

    max_retries: times that a start which failed is tried again, retry_interval_seconds apart.
    """

    enabled: bool = True
    priority: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)] = 100
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 3
    retry_interval_seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The order about one uid. request: what is launched when nothing of this uid is declared.

    dismissed: when the deployment was declared that shall end with the server; such an entry is no order to start.
    """

    uid: str
    terms: Terms
    request: LaunchRequest
    dismissed: float | None = None


class Entries:
    """The table. Every method may raise StateUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def prepare(self) -> None:
        """Makes the table when it is missing; once, before anything else."""
        await self._store.write(lambda connection: _metadata.create_all(connection))

    async def put(self, entry: Entry) -> None:
        text = msgspec.json.encode(entry).decode()

        def write(connection: sa.Connection) -> None:
            connection.execute(_entries.delete().where(_entries.c.uid == entry.uid))
            connection.execute(_entries.insert().values(uid=entry.uid, entry=text))

        await self._store.write(write)

    async def remove(self, uid: str) -> None:
        await self._store.write(lambda connection: _delete(connection, uid))

    async def all(self) -> dict[str, Entry]:
        """By uid, in the order in which they are started; one that cannot be read is left out and logged."""
        found = [entry for text in await self._store.read(_read) if (entry := _decode(text))]
        return {entry.uid: entry for entry in sorted(found, key=lambda one: (one.terms.priority, one.uid))}


def _decode(text: str) -> Entry | None:
    try:
        return msgspec.json.decode(text, type=Entry)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        logger.error("An entry of autostart cannot be read from the database (%s); left out.", error)
        return None


def _delete(connection: sa.Connection, uid: str) -> None:
    connection.execute(_entries.delete().where(_entries.c.uid == uid))


def _read(connection: sa.Connection) -> list[str]:
    rows: list[Any] = list(connection.execute(sa.select(_entries.c.entry)).all())
    connection.rollback()
    return [str(row[0]) for row in rows]
