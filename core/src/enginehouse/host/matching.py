"""Matching: why an engine cannot run a model on a machine, whatever is installed there, as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

import msgspec

from ..sdk import EngineSpec, ModelFamily, Variant
from .devices import Machine


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """One reason. code: for programs; message: a sentence for people, naming both sides."""

    code: str
    engine: str
    message: str


def mismatches(engine: EngineSpec, family: ModelFamily, variant: Variant, machine: Machine) -> tuple[Mismatch, ...]:
    """Why `engine` cannot run `variant` of `family` on `machine`; empty when it can."""
    reasons = (
        *_about_model(engine, family, variant),
        *_about_machine(engine, machine),
    )
    return tuple(Mismatch(code=code, engine=engine.name, message=message) for code, message in reasons)


def _about_model(engine: EngineSpec, family: ModelFamily, variant: Variant) -> Iterator[tuple[str, str]]:
    if family.model_type.lower() not in {name.lower() for name in engine.model_types}:
        yield "model_type", f"it runs {_list(engine.model_types)} models, {family.name} is of type {family.model_type}"
    if variant.format not in engine.formats:
        yield "format", f"it reads {_list(engine.formats)}, these weights are {variant.format}"
    if engine.quantizations and variant.quantization.lower() not in {q.lower() for q in engine.quantizations}:
        yield "quantization", f"it runs {_list(engine.quantizations)}, these weights are {variant.quantization}"
    if engine.architectures and variant.architectures and not _known(engine, variant):
        yield (
            "architecture",
            f"it runs {_list(engine.architectures)}, this model is {_list(variant.architectures)}",
        )
    wanted = {"chat", "generate"} & set(family.abilities)
    if wanted and not wanted & set(engine.offers):
        yield "task", f"it does {_list(engine.offers)}, {family.name} is for {_list(sorted(wanted))}"


def _known(engine: EngineSpec, variant: Variant) -> bool:
    return any(fnmatchcase(name, pattern) for name in variant.architectures for pattern in engine.architectures)


def _about_machine(engine: EngineSpec, machine: Machine) -> Iterator[tuple[str, str]]:
    if engine.platforms and machine.platform not in engine.platforms:
        yield "platform", f"it runs on {_list(engine.platforms)}, this is {machine.platform}"
    if not set(engine.devices) & set(machine.device_kinds):
        yield "device", f"it needs {_list(engine.devices)}, this machine has {_list(machine.device_kinds)}"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)
