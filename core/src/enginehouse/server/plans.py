"""How a launch foretold looks on the wire: answer of `POST /v1/models?dry_run=true`."""

from __future__ import annotations

from typing import Any

import msgspec

from ..host.memory import Estimate
from ..host.outlook import OtherEngine, Outlook
from .schemas import Open

Json = dict[str, Any]


class PlannedMemory(Open):
    estimated_bytes: dict[str, int]
    total_bytes: int
    context_length: int | None
    basis: str
    unknown: list[str]


class PlannedFit(Open):
    fits: bool | None
    needed_bytes: int
    free_bytes: int | None
    alternatives: list[dict[str, Any]]


class PlannedLaunch(Open):
    """A launch that was not done."""

    dry_run: bool
    model_name: str
    model_type: str
    model_engine: str
    engine_reason: str
    other_engines: list[dict[str, Any]]
    model_format: str
    model_size_in_billions: str
    quantization: str
    tasks: list[str]
    weights: dict[str, Any]
    environment: dict[str, Any]
    options: list[dict[str, Any]]
    replica: int
    device: str
    devices: list[list[str]]
    memory: PlannedMemory
    fit: PlannedFit
    evicts: list[str]


def describe_outlook(outlook: Outlook, evicts: tuple[str, ...]) -> Json:
    """Everything but what the caller sent and may want to keep to itself, such as `envs`. evicts: idle models that
    would be unloaded to make room."""
    plan = outlook.plan
    return {
        "dry_run": True,
        "model_name": plan.family.name,
        "model_type": plan.family.model_type,
        "model_engine": plan.engine,
        "engine_reason": plan.reason,
        "other_engines": [_other(engine) for engine in outlook.other_engines],
        "model_format": plan.variant.format,
        "model_size_in_billions": plan.variant.size_in_billions,
        "quantization": plan.variant.quantization,
        "tasks": plan.tasks,
        "weights": msgspec.to_builtins(outlook.weights),
        "environment": msgspec.to_builtins(outlook.environment),
        "options": msgspec.to_builtins(outlook.options),
        "replica": plan.request.replica,
        "device": plan.device,
        "devices": [plan.devices_of(replica_id) for replica_id in range(plan.request.replica)],
        "memory": describe_estimate(outlook.memory),
        "fit": msgspec.to_builtins(outlook.fit),
        "evicts": evicts,
    }


def describe_estimate(estimate: Estimate) -> Json:
    """Of one replica, in bytes by component."""
    return {
        "estimated_bytes": estimate.components,
        "total_bytes": estimate.total,
        "context_length": estimate.context_length,
        "basis": estimate.basis,
        "unknown": estimate.unknown,
    }


def _other(engine: OtherEngine) -> Json:
    reasons = [{"code": reason.code, "message": reason.message} for reason in engine.reasons]
    return {"name": engine.name, "usable": engine.usable, "reasons": reasons}
