"""Desired state, kept in a database: which deployments shall run, which workers were started, what happened.

SQLAlchemy Core on one connection and one thread: the load is a few small writes a second, and SQLite likes
one writer. Any other database URL works alike.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from ..sdk import EnginehouseError
from .environments.needs import KeptLock
from .launch_request import LaunchRequest
from .placement import Place, first_places
from .views import Event

EVENTS_KEPT = 100  # a deployment; what somebody looking for a cause will read

logger = logging.getLogger(__name__)
T = TypeVar("T")

_metadata = sa.MetaData()
_deployments = sa.Table(
    "deployments",
    _metadata,
    sa.Column("uid", sa.String(100), primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("desired", sa.String(10), nullable=False),
    sa.Column("was_ready", sa.Boolean, nullable=False, default=False),
    sa.Column("error", sa.Text),
    sa.Column("created_ts", sa.Float, nullable=False),
    sa.Column("replicas", sa.Text),
    sa.Column("footprint_bytes", sa.BigInteger),
    sa.Column("environment", sa.Text),
)
_events = sa.Table(
    "events",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("uid", sa.String(100), nullable=False, index=True),
    sa.Column("ts", sa.Float, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)


class StateUnavailable(EnginehouseError):
    """The database cannot be read or would not take a change; the change was not made."""

    status, code = 503, "state_unavailable"


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as declared. desired: "failed" when it never came up and shall not be tried again by itself.

    replicas: those that shall run; None for as many as the launch asked for. footprint_bytes: what one replica
    was last measured to hold. environment: the lock that it runs with, so that it comes back the same next year.
    """

    uid: str
    request: LaunchRequest
    desired: Literal["running", "failed"] = "running"
    was_ready: bool = False
    error: str | None = None
    created_ts: float = 0.0
    replicas: tuple[Place, ...] | None = None
    footprint_bytes: int | None = None
    environment: KeptLock | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        return first_places(self.request) if self.replicas is None else self.replicas


class Store:
    """The database. Every method runs on its one thread."""

    def __init__(self, connection: sa.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def declare(self, declared: Declared) -> None:
        """Writes a deployment, in place of one of the same uid. Raises StateUnavailable."""
        await self._write(lambda connection: _put(connection, declared))

    async def forget(self, uid: str) -> None:
        """Removes a deployment and its events. Raises StateUnavailable."""
        await self._write(lambda connection: _remove(connection, uid))

    async def declared(self) -> list[Declared]:
        """All deployments, oldest first; one that cannot be read is left out and logged."""
        return await self._run(_read_declared)

    async def note(self, uid: str, event: Event) -> None:
        """Keeps an event; losing one is logged, no more."""
        try:
            await self._write(lambda connection: _add_event(connection, uid, event))
        except StateUnavailable as error:
            logger.warning("event of %s not kept: %s", uid, error)

    async def events(self, uid: str) -> list[Event]:
        return await self._run(lambda connection: _read_events(connection, uid))

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Runs work that only reads, for those that keep tables of their own. Raises StateUnavailable."""
        return await self._run(work)

    async def write(self, work: Callable[[sa.Connection], None]) -> None:
        """Runs work that writes, as one transaction. Raises StateUnavailable."""
        await self._write(work)

    async def close(self) -> None:
        await self._run(lambda connection: connection.close())
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sa.Connection], T]) -> T:
        def guarded() -> T:
            try:
                return work(self._connection)
            except SQLAlchemyError as error:
                self._connection.rollback()  # else what comes next would find this failure's transaction
                raise StateUnavailable(
                    f"The database cannot be used: {_cause(error)}. Mend it and try again."
                ) from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)

    async def _write(self, work: Callable[[sa.Connection], None]) -> None:
        def transaction(connection: sa.Connection) -> None:
            work(connection)
            connection.commit()

        await self._run(transaction)


async def open_store(url: str) -> Store:
    """Opens the database, making its tables when they are missing.

    A SQLite file that is damaged is moved aside, with a message, and a new one begun; workers that still run
    are then found through their folders.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="database")
    connection = await asyncio.get_running_loop().run_in_executor(thread, _connect_or_begin_anew, url)
    return Store(connection, thread)


def _connect_or_begin_anew(url: str) -> sa.Connection:
    try:
        return _connect(url)
    except DatabaseError as error:
        file = sa.make_url(url).database
        if not url.startswith("sqlite") or not file or not _damaged(error):
            raise StateUnavailable(f"The database {sa.make_url(url)!r} cannot be opened: {_cause(error)}.") from error
        aside = Path(f"{file}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        Path(file).rename(aside)
        for part in ("-wal", "-shm"):
            Path(f"{file}{part}").unlink(missing_ok=True)
        logger.error("The database %s is damaged (%s). Moved to %s; beginning a new one.", file, _cause(error), aside)
        return _connect(url)


def _connect(url: str) -> sa.Connection:
    connection = sa.create_engine(url, poolclass=sa.NullPool).connect()  # closed means closed, WAL folded in
    if connection.dialect.name == "sqlite":
        # WAL survives a kill at any moment and lets others read; a bounded wait for whoever reads along.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            connection.exec_driver_sql(f"PRAGMA {pragma}")
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            connection.close()
            raise DatabaseError("quick_check", None, Exception(f"malformed: {verdict}"))
    make_tables(connection, _metadata)
    connection.commit()
    return connection


def make_tables(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Makes tables that are missing. A database of an earlier version gets the columns that later ones keep, which
    may be null."""
    metadata.create_all(connection)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))


def _damaged(error: DatabaseError) -> bool:
    return any(word in str(error.orig).lower() for word in ("malformed", "not a database", "corrupt"))


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)


def _put(connection: sa.Connection, declared: Declared) -> None:
    values = {
        "uid": declared.uid,
        "request": msgspec.json.encode(declared.request).decode(),
        "desired": declared.desired,
        "was_ready": declared.was_ready,
        "error": declared.error,
        "created_ts": declared.created_ts,
        "replicas": _json(declared.replicas),
        "footprint_bytes": declared.footprint_bytes,
        "environment": _json(declared.environment),
    }
    changed = connection.execute(_deployments.update().where(_deployments.c.uid == declared.uid).values(**values))
    if not changed.rowcount:
        connection.execute(_deployments.insert().values(**values))


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _remove(connection: sa.Connection, uid: str) -> None:
    connection.execute(_deployments.delete().where(_deployments.c.uid == uid))
    connection.execute(_events.delete().where(_events.c.uid == uid))


def _read_declared(connection: sa.Connection) -> list[Declared]:
    rows = connection.execute(_deployments.select().order_by(_deployments.c.created_ts)).mappings().all()
    connection.rollback()
    found = []
    for row in rows:
        try:
            values = {
                **{str(name): value for name, value in row.items()},
                "request": msgspec.json.decode(row["request"]),
                **{name: msgspec.json.decode(row[name]) if row[name] else None for name in ("replicas", "environment")},
            }
            found.append(msgspec.convert(values, Declared))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            logger.error("Deployment %s cannot be read from the database (%s); left out.", row["uid"], error)
    return found


def _add_event(connection: sa.Connection, uid: str, event: Event) -> None:
    known = connection.execute(sa.select(_deployments.c.uid).where(_deployments.c.uid == uid)).first()
    if known is None:
        return  # terminated meanwhile: its events went with it
    connection.execute(_events.insert().values(uid=uid, ts=event.ts, kind=event.kind, text=event.text))
    kept = sa.select(_events.c.id).where(_events.c.uid == uid).order_by(_events.c.id.desc()).limit(EVENTS_KEPT)
    oldest = connection.execute(sa.select(sa.func.min(kept.subquery().c.id))).scalar()
    connection.execute(_events.delete().where(_events.c.uid == uid, _events.c.id < oldest))


def _read_events(connection: sa.Connection, uid: str) -> list[Event]:
    rows = connection.execute(_events.select().where(_events.c.uid == uid).order_by(_events.c.id)).mappings().all()
    connection.rollback()
    return [Event(ts=row["ts"], kind=row["kind"], text=row["text"]) for row in rows]
