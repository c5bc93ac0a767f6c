"""What a plugin declares: its light half, without a model."""

from __future__ import annotations

import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from ...host.plugin_loading import CORE, PluginRecord
from ...sdk import Asks, EngineSpec, MemoryFacts
from ...sdk.asks import ASKS
from .check import Failed, check, require

HEAVY = (
    "torch", "transformers", "numpy", "vllm", "llama_cpp", "xllamacpp", "sentence_transformers", "diffusers", "ray",
    "jinja2", "onnxruntime", "tensorflow", "jax", "fastapi", "sqlalchemy", "aiohttp", "httpx", "pydantic",
)  # fmt: skip
IMPORT_SECONDS = 0.5  # beyond the sdk's own: a server with twenty plugins starts in a breath
LOOK_SECONDS = 60.0  # of an interpreter of its own, on a busy machine
MEMORY_FACTS = MemoryFacts(weights={"F32": 4_000_000}, context_length=1024, cache_numbers=512, vocabulary=1000)
_LOOK = """
import sys, time, json, enginehouse.sdk
before, begun = set(sys.modules), time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - begun
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in set(sys.modules) - before})]))
"""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin as it is installed. module: its light one; spec: one of its engines, None where it has none."""

    record: PluginRecord
    module: str
    requires: tuple[str, ...] = ()
    spec: EngineSpec | None = None


def brings_an_engine(declared: Declared) -> bool:
    return declared.spec is not None


def _has_options(declared: Declared) -> bool:
    return declared.spec is not None and bool(msgspec.structs.fields(declared.spec.options))


def _has_estimate(declared: Declared) -> bool:
    return declared.spec is not None and bool(declared.spec.memory)


def _spec(declared: Declared) -> EngineSpec:
    assert declared.spec is not None
    return declared.spec


def _imported(declared: Declared) -> tuple[float, list[str]]:
    """Seconds and top-level names that importing the light module adds to the sdk's, in an interpreter of its own."""
    command = [sys.executable, "-c", _LOOK, declared.module]
    looked = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False)
    require(not looked.returncode, f"import {declared.module}", looked.stderr, "a module that can be imported")
    seconds, names = json.loads(looked.stdout.splitlines()[-1])
    return seconds, names


@check("bronze", "A plugin is loaded by the server: nothing of it is refused.")
def is_loaded(declared: Declared) -> None:
    record = declared.record
    require(record.state == "loaded", f"load {record.name}", f"{record.state}: {record.reason}", "the state loaded")


@check("bronze", "The light half imports no engine's library, no web framework and no database.")
def imports_nothing_heavy(declared: Declared) -> None:
    names = set(_imported(declared)[1]) & set(HEAVY)
    require(not names, f"import {declared.module}", sorted(names), "none of the heavy libraries to be imported")


@check("silver", f"The light half is imported within {IMPORT_SECONDS:g} s, beyond what the sdk takes.")
def imports_quickly(declared: Declared) -> None:
    seconds = min(_imported(declared)[0] for _ in range(3))  # a neighbour's load is not the plugin's
    require(seconds < IMPORT_SECONDS, f"import {declared.module}", f"{seconds:.2f} s", f"under {IMPORT_SECONDS:g} s")


def _is_apart(declared: Declared) -> bool:
    return declared.record.distribution != CORE


@check("silver", f"The distribution says which {CORE} it fits: a lower bound and an upper one.", _is_apart)
def names_its_core(declared: Declared) -> None:
    found = [requirement for text in declared.requires if (requirement := Requirement(text)).name == CORE]
    operators = {one.operator for requirement in found for one in requirement.specifier}
    bounded = operators & {"==", "~=", "<", "<=", "==="} and operators & {"==", "~=", ">", ">=", "==="}
    require(bounded, "the distribution's requirements", declared.requires, f"{CORE}>=x,<y")


@check("bronze", "What a spec names by string is there: its modules can be found.", brings_an_engine)
def names_what_is_there(declared: Declared) -> None:
    for target in filter(None, (_spec(declared).engine, _spec(declared).command, _spec(declared).memory)):
        module = target.partition(":")[0]
        require(_is_there(module), f"find {target}", "no such module", "a module that can be found")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


@check("bronze", "Formats and devices are words in lower case, as everybody writes them.", brings_an_engine)
def uses_words_in_lower_case(declared: Declared) -> None:
    spec = _spec(declared)
    words = (*spec.formats, *spec.devices)
    require(all(word == word.lower() for word in words), "EngineSpec.formats, devices", words, "words in lower case")


@check("bronze", "Every launch option has a default.", _has_options)
def options_have_defaults(declared: Declared) -> None:
    options = _spec(declared).options
    try:
        options()
    except TypeError as error:
        raise Failed(f"{options.__name__}()", str(error), "a default for each option") from error


@check("silver", "Every launch option says what it means.", _has_options)
def options_say_what_they_mean(declared: Declared) -> None:
    options = _spec(declared).options
    silent = [name for name, about in _properties(options) if not _described(about)]
    require(
        not silent,
        f"the JSON schema of {options.__name__}",
        f"no description: {silent}",
        "msgspec.Meta(description=...)",
    )


def _described(about: dict[str, Any]) -> bool:
    inner = [one for key in ("anyOf", "allOf") for one in about.get(key) or ()]
    return bool(about.get("description")) or any(one.get("description") for one in inner)


@check("bronze", "Launch options are described by a JSON schema, from which forms and flags are made.", _has_options)
def options_have_a_schema(declared: Declared) -> None:
    options = _spec(declared).options
    try:
        names = [name for name, _ in _properties(options)]
    except TypeError as error:
        raise Failed(f"the JSON schema of {options.__name__}", str(error), "types that JSON knows") from error
    require(names, f"the JSON schema of {options.__name__}", "no properties", "a property for each option")


def _properties(options: type[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    _, parts = msgspec.json.schema_components([options], ref_template="#/{name}")
    yield from parts[options.__name__].get("properties", {}).items()


@check("bronze", "Requirements are written as PEP 508 has it.", brings_an_engine)
def requirements_can_be_read(declared: Declared) -> None:
    for text in _spec(declared).requirements:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise Failed(f"the requirement {text!r}", str(error), "a requirement as in PEP 508") from error


@check("silver", "An engine says in one line what it is.", brings_an_engine)
def says_what_it_is(declared: Declared) -> None:
    require(_spec(declared).summary.strip(), "EngineSpec.summary", "nothing", "one line for lists of engines")


@check("silver", "The estimate of memory is pure and quick, and gives bytes by component.", _has_estimate)
def estimates_memory(declared: Declared) -> None:
    spec = _spec(declared)
    module, _, name = spec.memory.partition(":")
    code = (
        f"import sys, json, msgspec; from {module} import {name} as estimate; "
        f"from {spec.options.__module__} import {spec.options.__name__} as Options; "
        "from enginehouse.sdk import MemoryFacts; "
        "facts = msgspec.json.decode(sys.argv[1], type=MemoryFacts); made = estimate(facts, Options()); "
        "assert all(isinstance(one, int) and one >= 0 for one in made.values()), made; "
        f"print(json.dumps(sorted(set(sys.modules) & set({list(HEAVY)!r}))))"
    )
    command = [sys.executable, "-c", code, msgspec.json.encode(MEMORY_FACTS).decode()]
    made = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_SECONDS, check=False)
    require(not made.returncode, f"{spec.memory}(facts, options)", made.stderr, "whole, positive numbers of bytes")
    require(json.loads(made.stdout.splitlines()[-1]) == [], f"import {module}", made.stdout, "no heavy library")


@check("gold", "The light half carries types: its package holds py.typed.")
def is_typed(declared: Declared) -> None:
    top = importlib.util.find_spec(declared.module.partition(".")[0])
    folders = list(top.submodule_search_locations or ()) if top else []
    if not folders:
        return  # a single module has no place for it
    require(
        any((Path(one) / "py.typed").exists() for one in folders), f"look into {folders[0]}", "no py.typed", "py.typed"
    )


@check("gold", f"The light half says what the code does beyond answering, in `{ASKS}`: nothing, too, is said.")
def says_what_it_asks_for(declared: Declared) -> None:
    asks = getattr(importlib.import_module(declared.module), ASKS, None)
    require(isinstance(asks, Asks), f"{declared.module}.{ASKS}", asks, "an enginehouse.sdk.Asks")


@check("bronze", "Hooks answer the same whenever they are called: with values, not with state.")
def hooks_are_pure(declared: Declared) -> None:
    module = importlib.import_module(declared.module)
    for name, hook in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("enginehouse_") and not inspect.signature(hook).parameters:
            first, second = list(hook() or ()), list(hook() or ())
            require(first == second, f"{name}() twice", f"{len(first)} and {len(second)} values", "the same values")
