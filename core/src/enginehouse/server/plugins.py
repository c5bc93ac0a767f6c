"""Routes of plugins: listed, examined, installed, upgraded, removed, blocked, while the server serves."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import importlib_metadata
import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.certificates import describe_records
from ..host.plugin_examination import PluginSource
from ..host.plugin_loading import PluginRecord, needed_always
from ..sdk import BadRequest, PackageIndexes
from . import schemas
from .models import finish, read_json
from .permissions import needs
from .surface import Grounds, TheGrounds, TheHouse, answer, body_of, errors

T = TypeVar("T", bound=msgspec.Struct)
router = APIRouter(tags=["plugins"])

_UNKNOWN = errors(e404="There is no such plugin.")


class ExaminePlugin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """source: a package's name or requirement, or the path of a wheel or source tree on the server's machine."""

    source: str
    index_url: str | None = None
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    no_build_isolation: bool = False

    def wish(self) -> PluginSource:
        fields = msgspec.structs.asdict(self)
        return PluginSource(source=fields.pop("source"), indexes=PackageIndexes(**fields))


class InstallPlugin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """digest: of an examination; exactly what was shown is installed."""

    digest: str


@router.get(
    "/v1/plugins", response_model=schemas.Plugins, operation_id="list_plugins", summary="What became of each plugin"
)
@needs("read")
async def list_plugins(house: TheHouse) -> Response:
    """Loaded or not, with the reason, what each contributes, and what its certificate says."""
    records = await asyncio.to_thread(describe_records, house.plugins.records, house.settings.home)
    return answer({"plugins": records})


@router.post(
    "/v1/plugin_examinations",
    response_model=schemas.PluginExamination,
    operation_id="examine_plugin",
    summary="Look at a plugin before it is installed",
    responses=errors(e400="It is no plugin, or may not be installed here.", e503="It cannot be fetched."),
    openapi_extra=body_of(ExaminePlugin),
)
@needs("admin")
async def examine_plugin(request: Request, grounds: TheGrounds) -> Response:
    """What it contributes, asks for and brings along, and which models an upgrade would move. Nothing changes.

    It is fetched, built where it comes as source, and imported in a process of its own: examine only what you would
    run.
    """
    wish = await _read(request, grounds, ExaminePlugin)
    return answer(await grounds.house.installer.examine(wish.wish()))


@router.post(
    "/v1/plugins",
    response_model=schemas.Plugins,
    operation_id="install_plugin",
    summary="Install a plugin that was examined",
    responses=errors(e400="Nothing was examined under this digest, or it may not be installed here."),
    openapi_extra=body_of(InstallPlugin),
)
@needs("admin")
async def install_plugin(request: Request, grounds: TheGrounds) -> Response:
    """What it contributes can be used when this answers; the server's own environment stays as it is."""
    wish = await _read(request, grounds, InstallPlugin)
    return answer({"plugins": await finish(grounds.house.installer.install(wish.digest))})


@router.put(
    "/v1/plugins/{name}",
    response_model=schemas.Plugins,
    operation_id="upgrade_plugin",
    summary="Replace a plugin by a version that was examined",
    responses=errors(
        e400="It may not be installed here.",
        e404="There is no such plugin.",
        e503="The new version did not prove itself; the former one serves on.",
    ),
    openapi_extra=body_of(InstallPlugin),
)
@needs("admin")
async def upgrade_plugin(name: str, request: Request, grounds: TheGrounds) -> Response:
    """For every model that runs its code new workers are started beside the former ones, must answer a request, and
    take over; no request fails. When one does not come up, all goes back to the former version."""
    wish = await _read(request, grounds, InstallPlugin)
    return answer({"plugins": await finish(grounds.house.installer.upgrade(name, wish.digest))})


@router.get(
    "/v1/plugins/{name}",
    response_model=schemas.PluginDetails,
    operation_id="describe_plugin",
    summary="All about a plugin",
    responses=_UNKNOWN,
)
@needs("read")
async def describe_plugin(name: str, house: TheHouse) -> Response:
    """Where it comes from, what it needs, and which models stand on it."""
    record = house.installer.record(name)
    (described,) = await asyncio.to_thread(describe_records, [record], house.settings.home)
    shelved = house.installer.shelved(record)
    details: dict[str, Any] = {
        **described,
        "requires": await asyncio.to_thread(_requirements, record),
        "used_by": house.installer.users(name),
        "source": shelved.source if shelved else None,
        "digest": shelved.digest if shelved else None,
        "installed_ts": shelved.installed_ts if shelved else None,
        "adds": shelved.adds if shelved else (),
    }
    return answer(details)


@router.delete(
    "/v1/plugins/{name}",
    response_model=schemas.PluginRemoved,
    operation_id="remove_plugin",
    summary="Remove a plugin",
    responses=errors(
        e400="It is installed in the server's own environment.",
        e404="There is no such plugin.",
        e409="Models stand on it.",
    ),
)
@needs("admin")
async def remove_plugin(name: str, house: TheHouse, force: bool = False) -> Response:
    """Its distribution with all its plugins, and every file. With `force` models that stand on it are ended."""
    return answer({"ended": await finish(house.installer.remove(name, force))})


@router.post(
    "/v1/plugins/{name}/block",
    response_model=schemas.Plugin,
    operation_id="block_plugin",
    summary="Block a plugin",
    responses=errors(e400="It cannot be blocked.", e404="There is no such plugin."),
)
@needs("admin")
async def block_plugin(name: str, house: TheHouse) -> Response:
    """From now on nothing of it is used, after restarts too. Workers that run its code serve on until they end."""
    return answer(await finish(house.installer.block(name)))


@router.post(
    "/v1/plugins/{name}/unblock",
    response_model=schemas.Plugin,
    operation_id="unblock_plugin",
    summary="Unblock a plugin",
    responses=errors(e400="The server's settings block it.", e404="There is no such plugin."),
)
@needs("admin")
async def unblock_plugin(name: str, house: TheHouse) -> Response:
    """It is loaded again; its state says whether that went well."""
    return answer(await finish(house.installer.unblock(name)))


async def _read(request: Request, grounds: Grounds, kind: type[T]) -> T:
    try:
        return msgspec.convert(await read_json(request, grounds), kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"This cannot be read: {error}.") from error


def _requirements(record: PluginRecord) -> list[str]:
    """Requires-Dist of its distribution, as its author wrote it, but for those of extras, which nobody needs."""
    try:
        return needed_always(importlib_metadata.distribution(record.distribution or "").requires or ())
    except (importlib_metadata.PackageNotFoundError, ValueError):
        return []
