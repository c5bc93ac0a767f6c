"""A launch foretold: the plan, and everything that can be known of it before anything is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import EngineSpec, Variant
from .clusters import Clusters
from .environment_need import Case as EnvironmentCase
from .environment_outlook import EnvironmentOutlook, foresee_environment, requirement_states
from .environments.acts import Ground, find_lock, makes, whole_need
from .fitting import Case, Fit, estimate_case, find_alternatives, fit
from .knowledge import gather_knowledge
from .launch_request import LaunchRequest
from .matching import Mismatch
from .memory import Estimate, Holdings, look_at_weights
from .obstacles import judge, likely_device
from .planning import Knowledge, Plan, make_plan
from .plugins import PluginCensus
from .settings import Settings
from .whereabouts import Whereabouts, find_weights


class OtherEngine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that was not chosen. reasons: why it cannot; none when it could, too. builds: in an environment that
    would be made for it."""

    name: str
    usable: bool
    builds: bool = False
    reasons: tuple[Mismatch, ...] = ()


class OptionState(msgspec.Struct, frozen=True, kw_only=True):
    """An option of the engine. is_default: nobody gave it."""

    name: str
    value: Any
    is_default: bool
    description: str = ""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and its consequences. memory: of one replica."""

    plan: Plan
    other_engines: tuple[OtherEngine, ...]
    weights: Whereabouts
    environment: EnvironmentOutlook
    options: tuple[OptionState, ...]
    memory: Estimate
    fit: Fit


async def foretell(request: LaunchRequest, census: PluginCensus, settings: Settings, clusters: Clusters) -> Outlook:
    """What a launch would do. Nothing is written, fetched or started. Raises what the launch would raise."""
    known = await gather_knowledge(census, settings, clusters, request)
    plan = make_plan(request, known)
    outlook = await asyncio.to_thread(look_ahead, plan, known, settings.home)
    seen = await _with_lock(outlook.environment, plan, Ground(census, settings))
    return msgspec.structs.replace(outlook, environment=seen)


async def _with_lock(seen: EnvironmentOutlook, plan: Plan, ground: Ground) -> EnvironmentOutlook:
    """With what is known of the environment that would be made."""
    if not makes(plan.environment, ground).resolve:
        return seen
    found = await find_lock(await whole_need(plan, ground), ground)
    if found is None:
        return msgspec.structs.replace(seen, locked=False, exists=False)
    return msgspec.structs.replace(
        seen,
        locked=True,
        digest=found.digest,
        exists=found.exists,
        packages=len(found.lock.packages),
        interpreter=str(ground.shelf.python(found.digest)) if found.exists else None,
        requirements=tuple(requirement_states(plan.environment.requirements, found.versions())),
    )


def look_ahead(plan: Plan, known: Knowledge, home: Path) -> Outlook:
    """The outlook of a plan. Reads headers of weights that are here; changes nothing."""
    engine = engine_of(plan, known)
    weights = find_weights(plan.source, known.contributions, home, plan.variant.weight_bytes)
    case = Case(plan=plan, engine=engine, held=holdings(plan.variant, weights), machine=known.machine)
    found = fit(case)
    if found.fits is False:
        more = find_alternatives(case, known, lambda variant: _hold(variant, known, home))
        found = msgspec.structs.replace(found, alternatives=more)
    memory = estimate_case(case)
    return Outlook(
        plan=msgspec.structs.replace(plan, memory=memory),
        other_engines=tuple(_others(plan, known)),
        weights=weights,
        environment=foresee_environment(plan.environment, plan.notes, known.machine.packages),
        options=tuple(option_states(engine, plan.options)),
        memory=memory,
        fit=found,
    )


def estimate_plan(plan: Plan, known: Knowledge, home: Path) -> Estimate:
    """What one replica of a plan takes, by component."""
    weights = find_weights(plan.source, known.contributions, home, plan.variant.weight_bytes)
    held = holdings(plan.variant, weights)
    return estimate_case(Case(plan=plan, engine=engine_of(plan, known), held=held, machine=known.machine))


def engine_of(plan: Plan, known: Knowledge) -> EngineSpec:
    return next(engine for engine in known.contributions.engines if engine.name == plan.engine)


def holdings(variant: Variant, weights: Whereabouts) -> Holdings:
    return look_at_weights(variant, Path(weights.path) if weights.path else None)


def option_states(engine: EngineSpec, given: dict[str, Any]) -> Iterator[OptionState]:
    """All options of an engine, those that were given with their values."""
    values = {**msgspec.to_builtins(engine.options()), **given}
    fields = msgspec.json.schema(engine.options).get("$defs", {}).get(engine.options.__name__, {}).get("properties", {})
    for name, value in values.items():
        description = str(fields.get(name, {}).get("description", ""))
        yield OptionState(name=name, value=value, is_default=name not in given, description=description)


def _hold(variant: Variant, known: Knowledge, home: Path) -> Holdings:
    weights = find_weights(variant.sources[0], known.contributions, home, variant.weight_bytes)
    return holdings(variant, weights)


def _others(plan: Plan, known: Knowledge) -> Iterator[OtherEngine]:
    for engine in known.contributions.engines:
        if engine.name != plan.engine:
            device = likely_device(plan.request, engine, known.machine)
            case = EnvironmentCase(
                request=plan.request, family=plan.family, variant=plan.variant, engine=engine, device=device
            )
            verdict = judge(case, known.place)
            yield OtherEngine(
                name=engine.name, usable=not verdict.reasons, builds=verdict.builds, reasons=verdict.reasons
            )
