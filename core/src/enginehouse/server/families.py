"""Routes about the families that plugins know: which can do what, and how they are spoken to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ..host.abilities import usable_abilities
from ..host.house import House
from ..sdk import ModelFamily
from . import schemas
from .permissions import needs
from .surface import TheHouse, answer

router = APIRouter(prefix="/v1/models", tags=["models"])

TYPE = "LLM"
REASONING_TAGS = {"think": ("<think>", "</think>")}
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
