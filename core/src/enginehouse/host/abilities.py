"""What a family can do here: its abilities, less those that need a parser which no plugin brings. Pure."""

from __future__ import annotations

import msgspec

from ..sdk import EngineSpec, ModelFamily
from .contributions import Contributions


def as_run_by(engine: EngineSpec, family: ModelFamily, contributions: Contributions) -> ModelFamily:
    """`family` with the abilities it has on `engine`, which needs no parser of ours when it does chat itself."""
    if "chat" in engine.tasks:
        return family
    usable = usable_abilities(family, contributions)
    return family if usable == family.abilities else msgspec.structs.replace(family, abilities=usable)


def usable_abilities(family: ModelFamily, contributions: Contributions) -> tuple[str, ...]:
    """All but "tools" without its parser: a call that arrives as plain text is worse than a refusal with a reason."""
    if family.tool_parser and contributions.parser(family.tool_parser, "tool") is not None:
        return family.abilities
    return tuple(word for word in family.abilities if word != "tools")
