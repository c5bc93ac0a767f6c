"""Routes of environments: which there are, and what is done with them beside launching.

What takes long is a work: the answer names it, `GET /v1/environments/works/{id}` says how far it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ..host.environments.acts import LockedNeed, build_locked, build_plan, check_here, lock_need, whole_need
from ..host.environments.bundles import create_bundle, free_place, load_bundle
from ..host.environments.inspection import verify
from ..host.environments.listing import EnvironmentView, find_record
from ..host.environments.works import Tell, WorkView
from ..host.house import House
from ..host.launch_request import parse_launch
from ..sdk import BadRequest
from .models import read_json
from .permissions import needs
from .schemas import Open
from .surface import Grounds, TheGrounds, TheHouse, answer, errors

router = APIRouter(prefix="/v1/environments", tags=["environments"])

Do = Callable[[Tell], Awaitable[Any]]
_NO_SUCH = errors(e404="There is no such environment.")
_BEGUN = 202


class Environment(Open):
    digest: str
    provisioner: str
    engine: str
    asked_by: str
    python: str
    accelerator: str
    packages: int
    size_bytes: int
    own_bytes: int
    made_ts: float
    used_ts: float
    path: str
    models: list[str]
    in_use: bool


class Environments(BaseModel):
    """All complete environments of this machine."""

    environments: list[Environment]


class EnvironmentWithLock(Environment):
    """lock: every package, with its version and hashes."""

    lock: dict[str, Any]


class Work(Open):
    """state: waiting, running, done, failed or cancelled. progress: 0 to 1. result: once it is done."""

    work_id: str
    act: str
    about: str
    state: str
    stage: str
    progress: float
    result: Any = None
    error: dict[str, Any] | None = None


class Works(BaseModel):
    """All works that are not over for long, oldest first."""

    works: list[Work]


class Collected(Open):
    """What was removed. freed_bytes: what that gave back."""

    environments: list[str]
    carried: list[str]
    bytecode: list[str]
    half_built: int
    freed_bytes: int


class GarbageWish(msgspec.Struct, frozen=True, kw_only=True):
    """keep_days: what was used since then stays. dry_run: only says what would go."""

    keep_days: float = 0.0
    dry_run: bool = False


class LockWish(msgspec.Struct, frozen=True, kw_only=True):
    """launch: a body of `POST /v1/models`. upgrade: asks the indexes again, so that newer versions come in."""

    launch: dict[str, Any]
    upgrade: bool = False


class BundleWish(msgspec.Struct, frozen=True, kw_only=True):
    """launch: a body of `POST /v1/models`; path: the file to write, on the server's machine."""

    launch: dict[str, Any]
    path: str


class BundlePlace(msgspec.Struct, frozen=True, kw_only=True):
    """path: of a bundle on the server's machine."""

    path: str


@router.get(
    "", response_model=Environments, operation_id="list_environments", summary="List the environments that were made"
)
@needs("admin")
async def list_them(house: TheHouse) -> Response:
    """With their sizes, the models that run in them, and when they were last used."""
    return answer({"environments": await house.environments.views()})


@router.get("/works", response_model=Works, operation_id="list_environment_works", summary="List works")
@needs("admin")
async def list_works(house: TheHouse) -> Response:
    """Those that go on, and the last that are over."""
    return answer({"works": house.environments.works.all()})


@router.get(
    "/works/{work_id}",
    response_model=Work,
    operation_id="get_environment_work",
    summary="How far a work is",
    responses=errors(e404="There is no such work."),
)
@needs("admin")
async def get_work(work_id: str, house: TheHouse) -> Response:
    """Its state, and what it came to."""
    return answer(house.environments.works.find(work_id))


@router.delete(
    "/works/{work_id}",
    response_model=Work,
    operation_id="cancel_environment_work",
    summary="End a work",
    responses=errors(e404="There is no such work."),
)
@needs("admin")
async def cancel_work(work_id: str, house: TheHouse) -> Response:
    """What it made so far is taken away."""
    return answer(await house.environments.works.cancel(work_id))


@router.post(
    "/lock",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="lock_environment",
    summary="Resolve what a launch needs",
    responses=errors(e400="The launch is wrong, or runs in an environment that nobody makes."),
)
@needs("admin")
async def lock(request: Request, grounds: TheGrounds) -> Response:
    """The result is the lock, its digest, and whether that environment stands. Nothing is installed."""
    wish = await _read(request, grounds, LockWish)
    house = grounds.house
    plan = await house.environments.plan(parse_launch(wish.launch))
    need = await whole_need(plan, house.environments.ground)

    async def do(tell: Tell) -> LockedNeed:
        return await lock_need(need, house.environments.ground, tell, wish.upgrade)

    return _begin(house, "lock", plan.family.name, do)


@router.post(
    "/build",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="build_environment",
    summary="Make the environment of a launch",
    responses=errors(e400="The launch is wrong, or runs in an environment that nobody makes."),
)
@needs("admin")
async def build(request: Request, grounds: TheGrounds) -> Response:
    """The body is a launch. What it would run in is made, so that the launch itself finds it."""
    house = grounds.house
    plan = await house.environments.plan(parse_launch(await read_json(request, grounds)))
    await whole_need(plan, house.environments.ground)

    async def do(tell: Tell) -> EnvironmentView:
        record = await build_plan(plan, house.environments.ground, tell)
        return await house.environments.view(record.digest)

    return _begin(house, "build", plan.family.name, do)


@router.post(
    "/gc",
    response_model=Collected,
    operation_id="collect_environments",
    summary="Remove what nobody uses",
    responses=errors(e400="The body is no JSON, or keep_days is no number of days."),
)
@needs("admin")
async def collect_garbage(request: Request, grounds: TheGrounds) -> Response:
    """Environments that no declared model and no worker refers to, with carried code and bytecode."""
    wish = await _read(request, grounds, GarbageWish)
    if not 0 <= wish.keep_days < 1e6:
        raise BadRequest(f"keep_days is {wish.keep_days:g}; give a number of days from 0.", param="keep_days")
    return answer(await grounds.house.environments.collect(wish.keep_days, wish.dry_run))


@router.post(
    "/import",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="import_environment",
    summary="Make the environment of an exported lock",
    responses=errors(e400="It is no lock, or one for another Python or platform."),
)
@needs("admin")
async def import_lock(request: Request, grounds: TheGrounds) -> Response:
    """The body is what `export` gave, here or elsewhere. The environment is made, and launches of that need get it."""
    house = grounds.house
    locked = await house.environments.with_own_indexes(await _read(request, grounds, LockedNeed))
    check_here(locked.lock)

    async def do(tell: Tell) -> EnvironmentView:
        record = await build_locked(locked, house.environments.ground, tell)
        return await house.environments.view(record.digest)

    return _begin(house, "import", locked.need.engine, do)


@router.post(
    "/bundles",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="create_bundle",
    summary="Pack all that a launch needs",
    responses=errors(e400="The launch is wrong, or the file is there already."),
)
@needs("admin")
async def make_bundle(request: Request, grounds: TheGrounds) -> Response:
    """One file on the server's machine: the lock, all wheels, the plugins, the registration. For machines offline."""
    wish = await _read(request, grounds, BundleWish)
    house, place = grounds.house, free_place(wish.path)
    plan = await house.environments.plan(parse_launch(wish.launch))
    await whole_need(plan, house.environments.ground)
    registration = house.environments.registration(plan.family)

    async def do(tell: Tell) -> Any:
        return await create_bundle(plan, registration, place, house.environments.ground, tell)

    return _begin(house, "bundle", plan.family.name, do)


@router.post(
    "/bundles/load",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="load_bundle",
    summary="Take a bundle in",
    responses=errors(e400="There is no bundle that can be read."),
)
@needs("admin")
async def take_bundle(request: Request, grounds: TheGrounds) -> Response:
    """Its environment is made from the bundle alone, no index is asked. Plugins are not installed: the result says
    which lack, and where their wheels are kept."""
    wish, house = await _read(request, grounds, BundlePlace), grounds.house
    care = house.environments

    async def do(tell: Tell) -> Any:
        return await load_bundle(wish.path, care.register, care.plan, care.ground, tell)

    return _begin(house, "load", wish.path, do)


@router.get(
    "/{digest:digest}",
    response_model=EnvironmentWithLock,
    operation_id="get_environment",
    summary="An environment with its lock",
    responses=_NO_SUCH,
)
@needs("admin")
async def show(digest: str, house: TheHouse) -> Response:
    """By its digest, or the beginning of it."""
    view = await house.environments.view(digest)
    locked = await house.environments.export(view.digest)
    return answer({**msgspec.to_builtins(view), "lock": locked.lock})


@router.get(
    "/{digest:digest}/export",
    response_model=dict[str, Any],
    operation_id="export_environment",
    summary="The lock of an environment, to be kept in a file",
    responses=_NO_SUCH,
)
@needs("admin")
async def export(digest: str, house: TheHouse) -> Response:
    """Packages, versions and hashes, and no index: `import` makes the same environment elsewhere."""
    return answer(await house.environments.export(digest))


@router.post(
    "/{digest:digest}/verify",
    response_model=Work,
    status_code=_BEGUN,
    operation_id="verify_environment",
    summary="Compare an environment with what was installed",
    responses=_NO_SUCH,
)
@needs("admin")
async def check(digest: str, house: TheHouse) -> Response:
    """Reads every file. The result: `{"digest", "differences": [{"file", "what"}]}`."""
    shelf = house.environments.shelf
    record = await asyncio.to_thread(find_record, shelf, digest)

    async def do(tell: Tell) -> dict[str, Any]:
        return {"digest": record.digest, "differences": await asyncio.to_thread(verify, shelf, record)}

    return _begin(house, "verify", record.digest[:12], do)


def _begin(house: House, act: str, about: str, do: Do) -> Response:
    view: WorkView = house.environments.works.begin(act, about, do)
    return answer(view, _BEGUN)


async def _read(request: Request, grounds: Grounds, kind: type[msgspec.Struct]) -> Any:
    """The body as a struct. Raises BadRequest that names the field."""
    nothing = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    body = None if nothing else await read_json(request, grounds)
    try:
        return msgspec.convert({} if body is None else body, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"This cannot be read: {error}.") from error
