"""Routes about the machines that models run on. There is one: the server's own, which is supervisor and worker."""

from __future__ import annotations

import signal
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import Response

from ..host.machine_load import Accelerator, MachineLoad
from . import describe
from .callers import visible
from .permissions import needs
from .schemas import Open
from .surface import Grounds, TheGrounds, TheHouse, answer

REPORTS_LEFT = 5  # missed reports after which a node would be given up; the server's own machine misses none

router = APIRouter(tags=["server"])


class NodeStatus(Open):
    """cpu: figures of processors and memory; gpu-0, gpu-1, ...: of each accelerator."""

    cpu: dict[str, float | None]


class Node(Open):
    update_time: float
    failure_remaining_count: int
    status: NodeStatus


class Status(Open):
    """uptime: seconds. workers: by address. models: status by uid."""

    uptime: int
    workers: dict[str, Node]
    models: dict[str, str]


class WorkerModels(Open):
    """models: descriptions by the uid of the replica."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), populate_by_name=True)
    address: str = Field(alias="work-ip")
    models: dict[str, dict[str, Any]]


class SupervisorAddress(Open):
    supervisor_ip: str


class Ended(Open):
    result: bool


class NodeInfo(Open):
    """Memory in bytes. With `detailed` also cpu_count, cpu_available (processors that are idle), mem_total, mem_used,
    mem_available, gpu_vram_available and gpu_utilization (0 to 1)."""

    node_type: Literal["Supervisor", "Worker"]
    ip_address: str
    gpu_count: int
    gpu_vram_total: int


class ConsoleConfig(Open):
    """What a console may offer."""

    cluster_name: str
    grafana_url: str
    dashboards: dict[str, str]
    auth_advanced: bool
    es_enabled: bool
    oidc_enabled: bool
    token_router_enabled: bool


@router.get("/v1/address", response_model=str, operation_id="get_address", summary="The server's own address")
@needs("public")
async def get_address(request: Request) -> Response:
    """host:port, as the caller reached it."""
    return answer(address_of(request))


@router.get("/status", response_model=Status, operation_id="status", summary="Uptime, machines, models by status")
@needs("public")
async def status(request: Request, grounds: TheGrounds) -> Response:
    """Figures of at most a second ago; of the models those that the caller's key may use. `usage` and `gpu_util` are
    parts of 1; memory is in bytes."""
    load = await grounds.load.load()
    node = {"update_time": load.ts, "failure_remaining_count": REPORTS_LEFT, "status": _figures(load)}
    models = {view.model_uid: view.status for view in visible(grounds.house)}
    uptime = int(time.time() - grounds.started)
    return answer({"uptime": uptime, "workers": {address_of(request): node}, "models": models})


@router.get(
    "/v1/workers", response_model=list[WorkerModels], operation_id="list_workers", summary="Machines, with their models"
)
@needs("admin")
async def list_workers(request: Request, house: TheHouse) -> Response:
    """Of each model every replica, whatever its state."""
    models = {
        f"{view.model_uid}-rep{replica.replica_id}": describe.describe_model(view)
        for view in house.deployments.views()
        for replica in view.replicas
    }
    return answer([{"work-ip": address_of(request), "models": models}])


@router.get(
    "/v1/supervisor",
    response_model=SupervisorAddress,
    operation_id="get_supervisor",
    summary="Who directs the machines",
)
@needs("admin")
async def get_supervisor(request: Request) -> Response:
    return answer({"supervisor_ip": address_of(request)})


@router.get(
    "/v1/cluster/info", response_model=list[NodeInfo], operation_id="get_cluster_info", summary="Machines, in figures"
)
@needs("admin")
async def get_cluster_info(
    request: Request, grounds: TheGrounds, detailed: bool = False, include_routers: bool = False
) -> Response:
    """One machine has both roles; its accelerators count for the worker. There are no token routers to include."""
    load = await grounds.load.load()
    roles: tuple[tuple[str, tuple[Accelerator, ...]], ...] = (("Supervisor", ()), ("Worker", load.accelerators))
    address = address_of(request)
    return answer([_info(role, address, load, accelerators, detailed) for role, accelerators in roles])


@router.get(
    "/v1/cluster/devices", response_model=int, operation_id="count_devices", summary="How many accelerators there are"
)
@needs("read")
async def count_devices(grounds: TheGrounds) -> Response:
    return answer(len((await grounds.load.load()).accelerators))


@router.get(
    "/v1/cluster/ui_config",
    response_model=ConsoleConfig,
    operation_id="get_ui_config",
    summary="What a console may offer",
)
@needs("public")
async def get_ui_config(house: TheHouse) -> Response:
    """Whether callers need a key; dashboards, a search of logs and single sign-on are not the server's to offer."""
    return answer(
        {
            "cluster_name": "default",
            "grafana_url": "",
            "dashboards": {},
            "auth_advanced": house.keys.required,
            "es_enabled": False,
            "oidc_enabled": False,
            "token_router_enabled": False,
        }
    )


@router.delete("/v1/clusters", response_model=Ended, operation_id="end_server", summary="End all models and the server")
@needs("admin")
async def end_server(grounds: TheGrounds) -> Response:
    """As an interrupt on its terminal would: the answer comes first, running requests may end. What is declared
    comes back when the server is started again."""
    response = answer({"result": True})
    response.background = BackgroundTask(_interrupt, grounds)
    return response


async def _interrupt(grounds: Grounds) -> None:
    if not grounds.stopping.is_set():  # a second interrupt would cut running requests short
        grounds.stopping.set()
        signal.raise_signal(signal.SIGINT)


def address_of(request: Request) -> str:
    """host:port that the caller's connection came to."""
    host, port = request.scope.get("server") or ("127.0.0.1", None)
    named = f"[{host}]" if ":" in host else host
    return f"{named}:{port}" if port else named


def _figures(load: MachineLoad) -> dict[str, dict[str, Any]]:
    cpu = {
        "usage": load.busy,
        "total": load.cpus,
        "memory_used": _used(load),
        "memory_available": load.free_bytes,
        "memory_total": load.total_bytes,
    }
    return {"cpu": cpu, **{f"gpu-{one.device.index}": _gpu_figures(one) for one in load.accelerators}}


def _gpu_figures(one: Accelerator) -> dict[str, Any]:
    total, free = one.device.total_bytes, one.device.free_bytes
    return {
        "name": one.device.name,
        "mem_total": total,
        "mem_free": free,
        "mem_used": total - free,
        "mem_usage": round((total - free) / total, 4) if total else None,
        "gpu_util": one.busy,
    }


def _info(
    role: str, address: str, load: MachineLoad, accelerators: tuple[Accelerator, ...], detailed: bool
) -> dict[str, Any]:
    info = {
        "node_type": role,
        "ip_address": address,
        "gpu_count": len(accelerators),
        "gpu_vram_total": sum(one.device.total_bytes for one in accelerators),
    }
    if not detailed:
        return info
    busy = [one.busy for one in accelerators if one.busy is not None]
    return {
        **info,
        "cpu_count": load.cpus,
        "cpu_available": None if load.busy is None else round(load.cpus * (1 - load.busy), 2),
        "mem_total": load.total_bytes,
        "mem_used": _used(load),
        "mem_available": load.free_bytes,
        "gpu_vram_available": sum(one.device.free_bytes for one in accelerators),
        "gpu_utilization": round(sum(busy) / len(busy), 4) if busy else None,
    }


def _used(load: MachineLoad) -> int | None:
    return None if load.total_bytes is None or load.free_bytes is None else load.total_bytes - load.free_bytes
