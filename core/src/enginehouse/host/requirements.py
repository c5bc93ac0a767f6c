"""What an engine needs, put together from its spec and from what plugins say of it. Pure."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement

from ..sdk import EngineSpec, InvalidSpec, Requirements


def own_requirements(engine: EngineSpec) -> Requirements:
    """What the spec alone says."""
    return Requirements(packages=engine.requirements, overrides=engine.overrides, exclusions=engine.exclusions)


def add_requirements(first: Requirements, second: Requirements) -> Requirements:
    """Both, the words of the second after those of the first."""
    fields = Requirements.__struct_fields__
    return Requirements(**{name: (*getattr(first, name), *getattr(second, name)) for name in fields})


def check_requirements(answer: object) -> Requirements | None:
    """A plugin's answer. Raises InvalidSpec when it is neither None nor requirements that can be read."""
    if answer is None:
        return None
    if not isinstance(answer, Requirements):
        raise InvalidSpec(f"it gave {answer!r} ({type(answer).__name__}); it must give Requirements or None.")
    for text in (*answer.packages, *answer.recommended, *answer.overrides):
        try:
            Requirement(text)
        except (InvalidRequirement, TypeError) as error:
            raise InvalidSpec(f"{text!r} is no requirement as PEP 508 has it: {error}.") from error
    return answer
