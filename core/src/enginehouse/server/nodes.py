"""Routes about the machines that models run on: the nodes of the server's cluster. Where that is the server's own
machine it is supervisor and worker."""

from __future__ import annotations

import signal
import time
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import Response

from ..host.views import DeploymentView
from ..sdk import Device
from ..sdk import Node as Machine
from . import describe
from .callers import visible
from .permissions import needs
from .schemas import Open
from .surface import Grounds, TheGrounds, TheHouse, answer

REPORTS_LEFT = 5  # missed reports after which a node would be given up; those that a cluster names miss none

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
    """Figures of at most a second ago, or the last that the cluster gave; of the models those that the caller's key may
    use. `usage` and `gpu_util` are parts of 1; memory is in bytes."""
    load = await grounds.load.load()
    workers = {
        _address(node, request): {
            "update_time": load.ts,
            "failure_remaining_count": REPORTS_LEFT,
            "status": _figures(node),
        }
        for node in load.nodes
    }
    models = {view.model_uid: view.status for view in visible(grounds.house)}
    uptime = int(time.time() - grounds.started)
    return answer({"uptime": uptime, "workers": workers, "models": models})


@router.get(
    "/v1/workers", response_model=list[WorkerModels], operation_id="list_workers", summary="Machines, with their models"
)
@needs("admin")
async def list_workers(request: Request, grounds: TheGrounds) -> Response:
    """Of each model every replica, whatever its state."""
    nodes = (await grounds.load.load()).nodes
    views = grounds.house.deployments.views()
    return answer([{"work-ip": _address(node, request), "models": _models_on(node, nodes, views)} for node in nodes])


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
    """The server directs, and each node is a worker: of one machine both. Accelerators count for the worker. There are
    no token routers to include."""
    nodes = (await grounds.load.load()).nodes
    here = next((node for node in nodes if not node.address), Machine(name=""))
    infos = [_info("Supervisor", address_of(request), msgspec.structs.replace(here, devices=()), detailed)]
    infos += [_info("Worker", _address(node, request), node, detailed) for node in nodes]
    return answer(infos)


@router.get(
    "/v1/cluster/devices", response_model=int, operation_id="count_devices", summary="How many accelerators there are"
)
@needs("read")
async def count_devices(grounds: TheGrounds) -> Response:
    return answer(sum(len(node.devices) for node in (await grounds.load.load()).nodes))


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


def _address(node: Machine, request: Request) -> str:
    """Where callers know it: its own address, or, of the server's machine, the one that they reached."""
    return node.address or address_of(request)


def _models_on(node: Machine, nodes: tuple[Machine, ...], views: list[DeploymentView]) -> dict[str, dict[str, Any]]:
    """What runs there; what runs on none of the nodes, as of a cluster that was chosen before, is the first one's."""
    names = {one.name for one in nodes}
    return {
        f"{view.model_uid}-rep{replica.replica_id}": describe.describe_model(view)
        for view in views
        for replica in view.replicas
        if replica.node == node.name or (node is nodes[0] and replica.node not in names)
    }


def _figures(node: Machine) -> dict[str, dict[str, Any]]:
    cpu = {
        "usage": node.busy,
        "total": node.cpus,
        "memory_used": _used(node),
        "memory_available": node.free_bytes,
        "memory_total": node.total_bytes,
    }
    return {"cpu": cpu, **{f"gpu-{device.index}": _gpu_figures(device) for device in node.devices}}


def _gpu_figures(device: Device) -> dict[str, Any]:
    total, free = device.total_bytes, device.free_bytes
    return {
        "name": device.name,
        "mem_total": total,
        "mem_free": free,
        "mem_used": total - free,
        "mem_usage": round((total - free) / total, 4) if total else None,
        "gpu_util": device.busy,
    }


def _info(role: str, address: str, node: Machine, detailed: bool) -> dict[str, Any]:
    info = {
        "node_type": role,
        "ip_address": address,
        "gpu_count": len(node.devices),
        "gpu_vram_total": sum(device.total_bytes for device in node.devices),
    }
    if not detailed:
        return info
    busy = [device.busy for device in node.devices if device.busy is not None]
    idle = None if node.busy is None or node.cpus is None else round(node.cpus * (1 - node.busy), 2)
    return {
        **info,
        "cpu_count": node.cpus,
        "cpu_available": idle,
        "mem_total": node.total_bytes,
        "mem_used": _used(node),
        "mem_available": node.free_bytes,
        "gpu_vram_available": sum(device.free_bytes for device in node.devices),
        "gpu_utilization": round(sum(busy) / len(busy), 4) if busy else None,
    }


def _used(node: Machine) -> int | None:
    return None if node.total_bytes is None or node.free_bytes is None else node.total_bytes - node.free_bytes
