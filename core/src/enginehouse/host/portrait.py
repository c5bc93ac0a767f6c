"""How a deployment looks from outside: its view, made from what its parts say."""

from __future__ import annotations

from typing import Any

import msgspec

from ..sdk import parse_hub_reference
from .contributions import Contributions
from .hubs import HUBS
from .planning import Plan
from .replica import ReplicaLife
from .store import Declared
from .views import DeploymentView, ReplicaView, Status


class Sitter(msgspec.Struct, frozen=True):
    """What a portrait is made from."""

    declared: Declared
    plan: Plan | None
    status: Status
    error: str | None
    replicas: list[ReplicaLife]


def portray(sitter: Sitter, contributions: Contributions) -> DeploymentView:
    """The deployment as it is now."""
    declared, plan, lives = sitter.declared, sitter.plan, sitter.replicas
    return DeploymentView(
        model_uid=declared.uid,
        model_type=declared.request.model_type if plan is None else plan.family.model_type,
        status=sitter.status,
        model_engine=plan.engine if plan else declared.request.model_engine or "",
        reason=plan.reason if plan else "",
        source=plan.source if plan else None,
        tasks=plan.tasks if plan else (),
        replicas=_replicas(sitter),
        created_ts=declared.created_ts,
        facts=_facts(sitter, contributions),
        devices=plan.devices if plan else (),
        memory=plan.memory.components if plan and plan.memory else {},
        error=sitter.error or next((life.error for life in lives if life.error), None),
        progress=min((life.progress for life in lives), default=0.0),
        stage=min(lives, key=lambda life: life.progress).stage if lives else "pending",
        waits=declared.request.may_unload and sitter.status != "ERROR",
        keep_alive=declared.request.keep_alive,
    )


def _replicas(sitter: Sitter) -> tuple[ReplicaView, ...]:
    """Those there are, or of what is unloaded those that there will be when a request comes; with their names."""
    places = sitter.declared.places
    views = [life.view() for life in sitter.replicas]
    if not views and sitter.status == "UNLOADED":
        views = [ReplicaView(replica_id=place.replica_id, worker_id=None, status="UNLOADED") for place in places]
    names = {place.replica_id: place.replica_uid for place in places}
    return tuple(msgspec.structs.replace(view, replica_uid=names.get(view.replica_id)) for view in views)


def _facts(sitter: Sitter, contributions: Contributions) -> dict[str, Any]:
    """What the model type reports, in its order."""
    plan = sitter.plan
    if plan is None:
        return {"model_name": sitter.declared.request.model_name}
    kind = contributions.model_type(plan.family.model_type)
    facts = _all_facts(plan)
    lengths = [life.context_length for life in sitter.replicas if life.context_length]
    facts["context_length"] = min(lengths, default=plan.family.context_length)
    return {name: facts.get(name) for name in (kind.reports if kind else facts)}


def _all_facts(plan: Plan) -> dict[str, Any]:
    family, variant = plan.family, plan.variant
    scheme, _, reference = plan.source.partition(":")
    return {
        "model_name": family.name,
        "model_lang": list(family.languages),
        "model_ability": list(family.abilities),
        "model_description": family.description,
        "model_format": variant.format,
        "model_size_in_billions": variant.size_in_billions,
        "model_family": family.name,
        "quantization": variant.quantization,
        "model_hub": HUBS.get(scheme, scheme),
        "revision": _revision(scheme, reference),
        "language": list(family.languages),
        **family.facts,
    }


def _revision(scheme: str, reference: str) -> str | None:
    """The revision that a hub's source names: a commit, where it was pinned."""
    return parse_hub_reference(reference).revision if scheme in HUBS else None
