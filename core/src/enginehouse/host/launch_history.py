"""Launches that somebody wants to find again: the last of each model and uid, kept in the database."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import sqlalchemy as sa

from ..sdk import BadRequest, EnginehouseError, TooLarge
from .secrecy import hide_secrets
from .store import Store

MOST_KEPT = 1000  # launches; what somebody has not looked for among so many is not found again either
MOST_BYTES = 2**18  # of one launch: its options and a chat template
MOST_NAME = 255  # characters

Json = dict[str, Any]

_metadata = sa.MetaData()
_launches = sa.Table(
    "launch_history",
    _metadata,
    sa.Column("model_name", sa.String(MOST_NAME), primary_key=True),
    sa.Column("model_uid", sa.String(MOST_NAME), primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("updated_by", sa.Text, nullable=False),
    sa.Column("updated_ts", sa.Float, nullable=False),
)


class LaunchUnknown(EnginehouseError):
    """No such launch is kept."""

    status, code, kind = 404, "launch_not_found", "invalid_request_error"


class KeptLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """One launch. data: its body, as the caller sent it but for the values of `envs`: every key may read this.

    updated_ts: seconds since 1970; updated_by: the name of the key, empty where none was asked for.
    """

    model_name: str
    model_uid: str
    data: Json
    updated_by: str
    updated_ts: float


class LaunchHistory:
    """The launches kept in a database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made = False

    async def keep(self, launch: KeptLaunch) -> None:
        """In place of one of the same name and uid. Raises BadRequest, TooLarge, StateUnavailable."""
        _check_name("model_name", launch.model_name)
        _check_name("model_uid", launch.model_uid)
        data = msgspec.json.encode(hide_secrets(launch.data)).decode()
        if len(data) > MOST_BYTES:
            raise TooLarge(f"This launch takes {len(data)} bytes; {MOST_BYTES} are kept of one.", param="data")
        row = {**msgspec.structs.asdict(launch), "data": data}
        await self._make()
        await self._store.write(lambda connection: _put(connection, row))

    async def all(self, model_name: str | None = None) -> list[KeptLaunch]:
        """Those of a name, or all; the newest last."""
        await self._make()
        return await self._store.read(lambda connection: _read(connection, model_name))

    async def forget(self, *keys: tuple[str, str]) -> None:
        """Forgets the first of these names and uids that is kept. Raises LaunchUnknown, StateUnavailable."""
        kept = {(one.model_name, one.model_uid) for one in await self.all()}
        found = next((key for key in keys if key in kept), None)
        if found is None:
            name, uid = keys[0]
            raise LaunchUnknown(
                f"No launch of {name!r} with the uid {uid!r} is kept. All: GET /v1/launch_history.", param="model_name"
            )
        await self._store.write(lambda connection: _remove(connection, *found))

    async def _make(self) -> None:
        if not self._made:
            await self._store.write(lambda connection: _metadata.create_all(connection))
            self._made = True


def new_launch(model_name: str, model_uid: str, data: Json, who: str) -> KeptLaunch:
    """One that is launched now."""
    return KeptLaunch(model_name=model_name, model_uid=model_uid, data=data, updated_by=who, updated_ts=time.time())


def _check_name(field: str, name: str) -> None:
    if len(name) > MOST_NAME or any(ord(character) < 32 for character in name):
        raise BadRequest(f"{field} may have {MOST_NAME} characters and no control characters.", param=field)


def _put(connection: sa.Connection, row: Json) -> None:
    _remove(connection, row["model_name"], row["model_uid"])
    connection.execute(_launches.insert().values(**row))
    kept = sa.select(_launches.c.updated_ts).order_by(_launches.c.updated_ts.desc()).limit(MOST_KEPT)
    oldest = connection.execute(sa.select(sa.func.min(kept.subquery().c.updated_ts))).scalar()
    connection.execute(_launches.delete().where(_launches.c.updated_ts < oldest))


def _remove(connection: sa.Connection, model_name: str, model_uid: str) -> None:
    connection.execute(
        _launches.delete().where((_launches.c.model_name == model_name) & (_launches.c.model_uid == model_uid))
    )


def _read(connection: sa.Connection, model_name: str | None) -> list[KeptLaunch]:
    wanted = _launches.select().order_by(_launches.c.updated_ts)
    if model_name is not None:
        wanted = wanted.where(_launches.c.model_name == model_name)
    rows = connection.execute(wanted).mappings().all()
    connection.rollback()
    return [
        KeptLaunch(**{**{str(name): value for name, value in row.items()}, "data": msgspec.json.decode(row["data"])})
        for row in rows
    ]
