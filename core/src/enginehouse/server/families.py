"""Routes about the families that plugins know: which can do what, and how they are spoken to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.abilities import usable_abilities
from ..host.devices import Machine
from ..host.house import House
from ..host.matching import mismatches
from ..sdk import BadRequest, EngineSpec, ModelFamily
from . import schemas
from .models import read_json
from .permissions import needs
from .surface import TheGrounds, TheHouse, answer, described_body, errors

router = APIRouter(prefix="/v1/models", tags=["models"])

TYPE = "LLM"
VLLM = "vllm"
ABOUT_MACHINES = {"platform", "device", "library"}  # reasons against an engine that another machine may not have
REASONING_TAGS = {
    "think": ("<think>", "</think>"),
    "seed_oss": ("<seed:think>", "</seed:think>"),
    "mistral": ("[THINK]", "[/THINK]"),
    "gemma4": ("<|channel>thought", "<channel|>"),
}
"""What a reasoning parser looks for, where that is a pair of tags; clients show it."""


@router.get(
    "/families",
    response_model=schemas.Families,
    operation_id="list_families",
    summary="Names of language models by what they can do",
)
@needs("public")
async def list_families(house: TheHouse) -> Response:
    """Those that plugins bring. `tools` lists those whose calls an installed parser understands."""
    found: dict[str, list[str]] = {ability: [] for ability in schemas.Families.model_fields}
    for family in _families(house):
        for ability in usable_abilities(family, house.catalog):
            found.get(ability, []).append(family.name)
    return answer(found)


@router.get(
    "/prompts",
    response_model=dict[str, schemas.Prompt],
    operation_id="list_prompts",
    summary="How language models that chat are spoken to",
)
@needs("public")
async def list_prompts(house: TheHouse) -> Response:
    """By family. A `chat_template` that is null leaves it to the tokenizer, which brings its own."""
    return answer({family.name: _prompt(family) for family in _families(house) if "chat" in family.abilities})


@router.get(
    "/vllm-supported",
    response_model=schemas.VllmFamilies,
    operation_id="list_vllm_families",
    summary="Names of language models that the engine vllm runs",
)
@needs("public")
async def list_vllm_families(house: TheHouse) -> Response:
    """By ability, whatever this machine has; none while no installed plugin brings that engine."""
    engines = [engine for engine in house.catalog.engines if engine.name.lower() == VLLM]
    names: dict[str, list[str]] = {ability: [] for ability in schemas.VllmFamilies.model_fields}
    for family in _families(house):
        if any(_reads(engine, family) for engine in engines):
            for ability in names.keys() & set(family.abilities):
                names[ability].append(family.name)
    return answer(names)


@router.post(
    "/update_type",
    response_model=schemas.CatalogueUpdate,
    operation_id="update_families",
    summary="Where newer families come from",
    responses=errors(e400="There is no such model type."),
    openapi_extra=described_body(schemas.TypeToUpdate),
)
@needs("admin")
async def update_families(request: Request, grounds: TheGrounds) -> Response:
    """Nothing is fetched: families come with plugins, and newer ones with a newer plugin."""
    body = await read_json(request, grounds)
    name = body.get("model_type") if isinstance(body, dict) else None
    kind = grounds.house.catalog.model_type(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(kind.name for kind in grounds.house.catalog.model_types)
        raise BadRequest(f"Say the model type: model_type is {name!r}; known: {known}.", param="model_type")
    message = (
        f"Nothing was fetched: families of the type {kind.name} come with installed plugins. Upgrade a plugin with pip "
        f"and start the server again, or register a model with POST /v1/model_registrations/{kind.name}."
    )
    return answer({"data": {"model_type": kind.name, "message": message, "updated": False}})


def _reads(engine: EngineSpec, family: ModelFamily) -> bool:
    """Whether an engine runs some variant, on whatever machine and once it is installed."""
    machine = Machine(platform=sys.platform)
    return any(
        {reason.code for reason in mismatches(engine, family, variant, machine)} <= ABOUT_MACHINES
        for variant in family.variants
    )


def _families(house: House) -> Iterator[ModelFamily]:
    """Those of plugins, by name."""
    return (family for family, document in house.registrations.all(TYPE) if document is None)


def _prompt(family: ModelFamily) -> dict[str, Any]:
    prompt: dict[str, Any] = {
        "chat_template": family.chat_template,
        "stop_token_ids": list(family.stop_token_ids),
        "stop": list(family.stop),
    }
    tags = REASONING_TAGS.get(family.reasoning_parser or "")
    if tags:
        prompt["reasoning_start_tag"], prompt["reasoning_end_tag"] = tags
    if family.tool_parser:
        prompt["tool_parser"] = family.tool_parser
    return prompt
