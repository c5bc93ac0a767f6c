"""Keys of the home of this machine, when no server runs on it: how the first admin key is made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from .failures import Refused

if TYPE_CHECKING:
    from ..host.keys import Keys

T = TypeVar("T")
WHO = "the command line of this machine"


def create(wish: dict[str, Any]) -> dict[str, Any]:
    """As `POST /v1/keys`."""
    from ..host.keys import read_new_key

    async def work(keys: Keys) -> dict[str, Any]:
        made = await keys.create(read_new_key({key: value for key, value in wish.items() if value is not None}))
        return {**keys.find(made.key.key_id).describe(), "key": made.secret}

    made = _run(work)
    _note("create_key", made["key_id"])
    return made


def list_all(any_state: bool) -> list[dict[str, Any]]:
    """As `GET /v1/keys`."""

    async def work(keys: Keys) -> list[dict[str, Any]]:
        found = [account.describe() for account in keys.all()]
        return [one for one in found if any_state or one["state"] == "valid"]

    return _run(work)


def revoke(key_id: str) -> None:
    """As `DELETE /v1/keys/{key_id}`."""

    async def work(keys: Keys) -> None:
        await keys.revoke(key_id)

    _run(work)
    _note("revoke_key", key_id)


def _run(work: Callable[[Keys], Coroutine[Any, Any, T]]) -> T:
    """Does the work while it holds the home. Raises Refused, also when a server has the home."""
    import asyncio

    from ..sdk import EnginehouseError

    try:
        return asyncio.run(_with_keys(work))
    except EnginehouseError as error:
        raise Refused(error.message) from error


async def _with_keys(work: Callable[[Keys], Coroutine[Any, Any, T]]) -> T:
    from ..host.home import held_home
    from ..host.keys import open_keys
    from ..host.settings import settings_from
    from ..host.store import open_store

    settings = settings_from()
    with held_home(settings.home, "`enginehouse keys`"):
        store = await open_store(settings.database_url)
        try:
            async with open_keys(store, required=True) as keys:
                return await work(keys)
        finally:
            await store.close()


def _note(act: str, key_id: str) -> None:
    from ..host.audit import Act, AuditLog
    from ..host.settings import home_folder

    log = AuditLog(home_folder())
    log.write(Act(act=act, who=WHO, on={"key_id": key_id}))
    log.close()
