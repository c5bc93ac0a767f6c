"""From a Plan to a worker's order, and what lies in a worker's folder beside it. Pure but for the writing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import CannotRun, EngineSpec, Environment, ModelFamily, ParserSpec, RunnerOrder, Variant, WorkerOrder
from .contributed_tasks import order_of
from .contributions import Contributions
from .home import private_folder, socket_folder
from .planning import Plan
from .settings import Settings
from .targets import resolve, target_of

ORDER_FILE = "order.json"
PLAN_FILE = "plan.json"
RUNNER = "enginehouse.runner"


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Whose worker it is; kept in the worker's folder, so that a lost database can be made again from it."""

    model_uid: str
    replica_id: int
    created_ts: float
    plan: Plan


class Workshop(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is made with: the weights' place and the environment. former: the order of the worker of the same
    replica that it follows after its death."""

    weights: Path
    environment: Environment
    former: WorkerOrder | None = None


def prepare_worker(
    assignment: Assignment, workshop: Workshop, contributions: Contributions, settings: Settings
) -> WorkerOrder:
    """Makes the worker's private folder with its order in it. Raises CannotRun, HomeUnusable, OSError."""
    worker_id = secrets.token_hex(6)
    folder = private_folder(settings.workers_folder / worker_id)
    try:
        order = _order(worker_id, folder, assignment, workshop, contributions, settings)
        _write(folder / PLAN_FILE, msgspec.json.encode(assignment))
        _write(folder / ORDER_FILE, msgspec.json.encode(order))
    except BaseException:  # whatever it was, no half folder stays
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return order


def remove_worker(order: WorkerOrder) -> None:
    """Removes a dead worker's folder and sockets."""
    shutil.rmtree(order.folder, ignore_errors=True)
    sockets = Path(order.control).parent
    if sockets != Path(order.folder):
        shutil.rmtree(sockets, ignore_errors=True)


def kept_orders(workers: Path) -> Iterator[tuple[WorkerOrder, Assignment]]:
    """Orders of the workers that a former server left, dead or alive; a folder that makes no sense is removed."""
    for folder in sorted(workers.iterdir()) if workers.is_dir() else ():
        try:
            order = msgspec.json.decode((folder / ORDER_FILE).read_bytes(), type=WorkerOrder)
            assignment = msgspec.json.decode((folder / PLAN_FILE).read_bytes(), type=Assignment)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            shutil.rmtree(folder, ignore_errors=True)  # cut off while it was written: nothing was started from it
            continue
        yield order, assignment


def _order(
    worker_id: str,
    folder: Path,
    assignment: Assignment,
    workshop: Workshop,
    contributions: Contributions,
    settings: Settings,
) -> WorkerOrder:
    plan = assignment.plan
    engine = _engine(plan.engine, contributions)
    sockets = socket_folder(folder)
    order = WorkerOrder(
        worker_id=worker_id,
        model_uid=assignment.model_uid,
        token=secrets.token_hex(16),
        folder=str(folder),
        socket=str(sockets / "http.sock"),
        control=str(sockets / "keeper.sock"),
        argv=(workshop.environment.python, "-P", "-m", RUNNER, str(folder)),
        environment=_variables(plan, plan.devices_of(assignment.replica_id), workshop.environment),
        lease_seconds=settings.lease_seconds,
        drain_seconds=settings.drain_seconds,
        runner=_runner(plan, engine, workshop, contributions, settings),
    )
    if workshop.former and plan.code:
        order = _with_code_of(workshop.former, order)
    if engine.command:
        argv = tuple(map(str, resolve(engine.command)(order)))
        return msgspec.structs.replace(order, argv=argv)
    return order


def _with_code_of(former: WorkerOrder, order: WorkerOrder) -> WorkerOrder:
    """The order, with the code of the worker that it follows. While a plugin of the home is upgraded the new version is
    there already for every other worker; one that dies before its turn comes back as what it was, whole."""
    carried = former.environment.get("PYTHONPATH", "")
    if not all(Path(folder).is_dir() for folder in carried.split(os.pathsep)):
        return order
    return msgspec.structs.replace(
        order, runner=former.runner, environment={**order.environment, "PYTHONPATH": carried}
    )


def _engine(name: str, contributions: Contributions) -> EngineSpec:
    for engine in contributions.engines:
        if engine.name == name:
            return engine
    raise CannotRun(f"Engine {name} is not loaded any more; see `enginehouse plugins`.")


def _runner(
    plan: Plan, engine: EngineSpec, workshop: Workshop, contributions: Contributions, settings: Settings
) -> RunnerOrder:
    family, request = plan.family, plan.request
    kind = contributions.model_type(family.model_type)
    own_tasks = tuple(order_of(task) for task in kind.own_tasks if task.name in plan.tasks) if kind else ()
    reasoning = family.reasoning_parser if request.reasoning_content is not False else None
    return RunnerOrder(
        engine=engine.engine,
        options=target_of(engine.options),
        tasks=plan.tasks,
        model_path=str(main_file(plan.variant, workshop.weights)),
        device=plan.device,
        engine_name=engine.name,
        option_values=plan.options,
        context_length=family.context_length,
        abilities=family.abilities,
        chat_template=family.chat_template,
        stop=family.stop,
        stop_token_ids=family.stop_token_ids,
        tool_parser=_parser(family, family.tool_parser, "tool", contributions),
        reasoning_parser=_parser(family, reasoning, "reasoning", contributions),
        enable_thinking=request.enable_thinking,
        trust_remote_code=request.trust_remote_code,
        completions_done=settings.completions_done,
        queue_length=settings.worker_requests,
        own_tasks=own_tasks,
        facts=family.facts,
        launcher=plan.launcher.launcher if plan.launcher else None,
        may_sleep=request.keep_alive is not None,
    )


def main_file(variant: Variant, weights: Path) -> Path:
    """What the engine is given: the weights, or of a folder that holds several variants the first file of this one."""
    first = weights / variant.files[0] if variant.files and weights.is_dir() else weights
    return first if first.exists() else weights


def _parser(family: ModelFamily, name: str | None, kind: str, contributions: Contributions) -> str | None:
    """The parser's target. Without the plugin that brings it the model still runs, its text unparsed."""
    spec: ParserSpec | None = contributions.parser(name, kind) if name else None
    return spec.parser if spec else None


def _variables(plan: Plan, devices: tuple[str, ...], environment: Environment) -> dict[str, str]:
    variables: dict[str, Any] = _joined(plan.request.envs or {}, environment.variables)
    if plan.device == "cuda":
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(label.partition(":")[2] for label in devices)
    elif plan.device == "cpu":
        variables.setdefault("CUDA_VISIBLE_DEVICES", "")
    if plan.code and "PYTHONPATH" not in environment.variables:  # a sealed one carries the code itself
        given = (plan.request.envs or {}).get("PYTHONPATH") or os.environ.get("PYTHONPATH")
        variables["PYTHONPATH"] = os.pathsep.join((*plan.code, *([given] if given else ())))
    return {name: str(value) for name, value in variables.items()}


def _joined(asked: Mapping[str, Any], sealed: Mapping[str, str]) -> dict[str, Any]:
    """A launch's variables and those of its environment, which keep the server's packages out and so prevail."""
    paths = {
        name: os.pathsep.join((sealed[name], str(asked[name])))
        for name in ("PATH", "PYTHONPATH")
        if sealed.get(name) and asked.get(name)
    }
    return {**asked, **sealed, **paths}


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
