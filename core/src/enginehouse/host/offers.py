"""Which engines there are, and which of them can run a model. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..sdk import EngineSpec, ModelFamily, Variant
from .contributions import Contributions
from .devices import Machine
from .environment_need import Case, Place
from .environment_outlook import RequirementState, requirement_states
from .launch_request import LaunchRequest
from .obstacles import judge, likely_device

LLM = "llm"
Reason = str
Item = dict[str, Any]


class EngineOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An engine as it is here. options: JSON schema of its launch options."""

    name: str
    summary: str
    tasks: tuple[str, ...]
    model_types: tuple[str, ...]
    formats: tuple[str, ...]
    architectures: tuple[str, ...]
    quantizations: tuple[str, ...]
    devices: tuple[str, ...]
    platforms: tuple[str, ...]
    requirements: tuple[RequirementState, ...]
    installed: bool
    rank: int
    options: dict[str, Any]


def offer_of(engine: EngineSpec, machine: Machine) -> EngineOffer:
    """All about one engine. installed: whether every library that it needs is there."""
    requirements = tuple(requirement_states(engine.requirements, machine.packages))
    return EngineOffer(
        name=engine.name,
        summary=engine.summary,
        tasks=engine.offers,
        model_types=engine.model_types,
        formats=engine.formats,
        architectures=engine.architectures,
        quantizations=engine.quantizations,
        devices=engine.devices,
        platforms=engine.platforms,
        requirements=requirements,
        installed=all(state.satisfied for state in requirements),
        rank=engine.rank,
        options=options_schema(engine),
    )


def options_schema(engine: EngineSpec) -> dict[str, Any]:
    """JSON schema of an engine's options, as one object."""
    schema = msgspec.json.schema(engine.options)
    definitions = schema.get("$defs", {})
    own: dict[str, Any] = definitions.pop(engine.options.__name__, {})
    return {**own, "$defs": definitions} if definitions else own


def find_family(contributions: Contributions, name: str, model_type: str | None) -> ModelFamily | None:
    """The family of that name: of the type, or without one an LLM before any other."""
    if model_type:
        return contributions.family(model_type, name)
    kinds = sorted((kind.name for kind in contributions.model_types), key=lambda kind: kind.lower() != LLM)
    return next((family for kind in kinds if (family := contributions.family(kind, name))), None)


def engines_for(
    family: ModelFamily, place: Place, enable_virtual_env: bool | None = None
) -> dict[str, list[Item] | Reason]:
    """By engine: the variants it can run here, or why it can run none. enable_virtual_env: as a launch would say it,
    so that engines whose libraries are not here count when an environment may be made."""
    request = LaunchRequest(model_name=family.name, model_type=family.model_type, enable_virtual_env=enable_virtual_env)
    return {engine.name: _verdict(engine, family, request, place) for engine in place.contributions.engines}


def _verdict(engine: EngineSpec, family: ModelFamily, request: LaunchRequest, place: Place) -> list[Item] | Reason:
    device = likely_device(request, engine, place.machine)
    cases = (Case(request=request, family=family, variant=one, engine=engine, device=device) for one in family.variants)
    against = {index: judge(case, place).reasons for index, case in enumerate(cases)}
    usable = [variant for index, variant in enumerate(family.variants) if not against[index]]
    if usable:
        return list(_items(family, usable))
    messages = dict.fromkeys(reason.message for reasons in against.values() for reason in reasons)
    return f"Engine {engine.name} cannot run {family.name}: {'; '.join(messages)}."


def _items(family: ModelFamily, variants: list[Variant]) -> Iterator[Item]:
    """For LLMs one item for each format and size, with its quantizations; for others one for each variant."""
    if family.model_type.lower() != LLM:
        for variant in variants:
            yield {"model_name": family.name, "model_format": variant.format, "quantization": variant.quantization}
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for variant in variants:
        quantizations = groups.setdefault((variant.format, variant.size_in_billions), [])
        if variant.quantization not in quantizations:
            quantizations.append(variant.quantization)
    for (model_format, size), quantizations in groups.items():
        yield {
            "model_name": family.name,
            "model_format": model_format,
            "model_size_in_billions": int(size) if size.isdigit() else size,
            "quantizations": quantizations,
        }
