"""From an engine, a family and a launch to what the worker's environment must carry, and who makes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..sdk import (
    BadRequest,
    EngineSpec,
    EnvironmentNeed,
    ModelFamily,
    PackageIndexes,
    Requirements,
    Variant,
    VirtualEnvironment,
)
from ..sdk.credentials import hide_credentials
from .contributions import Contributions, key_of
from .devices import Machine
from .environment_wishes import EnvironmentWish, check_find_links, read_wish
from .launch_request import LaunchRequest
from .package_words import Surroundings, Unanswerable, Wish, engine_key, read_words
from .requirements import own_requirements
from .torch_builds import VARIABLE, choose_backend, names_sources, warn_of_cuda

LAUNCH_FIELD = "virtual_env_packages"
FAMILY_FIELD = "virtualenv.packages"


def _of_spec(engine: EngineSpec, variant: Variant, device: str) -> Requirements:
    return own_requirements(engine)


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """What environments are made of here, and what the server allows.

    can_make: whether a plugin that makes environments is loaded. enabled: `enable_virtual_env` of launches that do
    not say. pip: what pip's configuration says. urls_allowed: whether launches and registrations may name packages
    by URL or path; find_links_roots: where folders of wheels that a launch names may lie. uv_says: uv's variables of
    where packages come from, and of PyTorch's build.
    """

    can_make: bool = False
    enabled: bool | None = None
    pip: PackageIndexes = PackageIndexes()
    urls_allowed: bool = False
    find_links_roots: tuple[Path, ...] = ()
    uv_says: Mapping[str, str] = {}
    requirements: Callable[[EngineSpec, Variant, str], Requirements] = _of_spec


class Place(msgspec.Struct, frozen=True):
    """Where environments are planned for."""

    contributions: Contributions
    machine: Machine
    supply: Supply = Supply()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is wanted for. built_with: what the launcher that builds the model asks for."""

    request: LaunchRequest
    family: ModelFamily
    variant: Variant
    engine: EngineSpec
    device: str
    built_with: tuple[str, ...] = ()


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """An environment as it is planned. lacking: what stands against it, sentences; notes: what was left out, for
    people."""

    need: EnvironmentNeed
    lacking: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Wants(msgspec.Struct, frozen=True, kw_only=True):
    """All that is asked for, one of a name. recommended: only where an environment is made."""

    packages: tuple[Wish, ...]
    recommended: tuple[Wish, ...]
    overrides: tuple[str, ...]
    exclusions: tuple[str, ...]
    notes: tuple[str, ...]


def choose_environment(case: Case, place: Place) -> Chosen:
    """Who makes the environment, and what it carries. Raises BadRequest for wishes that cannot be read or are not
    allowed; what is merely missing is in `lacking`."""
    supply = place.supply
    asked = supply.requirements(case.engine, case.variant, case.device)
    links = check_find_links(case.request.virtual_env_find_links, supply.find_links_roots)
    wants = gather_wants(case, asked, place)
    missing = tuple(_missing(wants.packages, place.machine.packages))
    wish = _settle(read_wish(case.request, supply.enabled), missing, supply.can_make)
    made = wish.provisioner == "uv"
    indexes = gather_indexes(case.family.virtualenv, supply.pip, asked.extra_index_url, links)
    backend = choose_backend(supply.uv_says.get(VARIABLE), case.device)
    need = EnvironmentNeed(
        engine=case.engine.name,
        requirements=_texts((*wants.recommended, *wants.packages) if made else wants.packages),
        overrides=wants.overrides if made else (),
        exclusions=wants.exclusions if made else (),
        indexes=msgspec.structs.replace(indexes, torch_backend=backend) if made else PackageIndexes(),
        accelerator=case.device,
        provisioner=wish.provisioner or "system",
        place=wish.place,
        reason=wish.reason,
    )
    notes = (*wants.notes, *_of_torch(need, place)) if made else wants.notes
    return Chosen(need=need, lacking=_against(wish, missing, supply), notes=notes)


def _of_torch(need: EnvironmentNeed, place: Place) -> Iterator[str]:
    note = warn_of_cuda(need, place.machine.platform, names_sources(need.indexes, place.supply.uv_says))
    if note:
        yield note


def _settle(wish: EnvironmentWish, missing: tuple[str, ...], can_make: bool) -> EnvironmentWish:
    """Where nobody says: the server's own when it has everything, else one that is made."""
    if wish.provisioner:
        return wish
    if not missing:
        return EnvironmentWish(provisioner="system", reason="The server's own environment has all that is needed.")
    if not can_make:
        return EnvironmentWish(provisioner="system", reason="No loaded plugin makes environments.")
    return EnvironmentWish(
        provisioner="uv", reason=f"The server's own environment will not do: {' and '.join(missing)}."
    )


def _against(wish: EnvironmentWish, missing: tuple[str, ...], supply: Supply) -> tuple[str, ...]:
    if wish.provisioner == "uv" and not supply.can_make:
        return ("no loaded plugin makes environments (install uv beside the server)",)
    if wish.provisioner != "system" or not missing:
        return ()
    why = f"no environment is made for it: {wish.reason.rstrip('.')}" if supply.can_make else ""
    return (*missing, why) if why else missing


def gather_wants(case: Case, asked: Requirements, place: Place) -> Wants:
    """The words of engine, family and launch, read; of a name the later counts."""
    around = _surroundings(case, place)
    block = case.family.virtualenv or VirtualEnvironment()
    of_engine = _Reader(around, f"engine {case.engine.name}", "model_engine")
    of_family = _Reader(around, f"model {case.family.name}", FAMILY_FIELD)
    of_launch = _Reader(around, "launch", LAUNCH_FIELD)
    engines, families = of_engine.read((*asked.packages, *case.built_with)), of_family.read(block.packages)
    launches = of_launch.read(case.request.virtual_env_packages or ())
    _refuse_references(families, launches, case.family, place)
    merged, replaced = _merge((*engines, *families, *launches))
    excluded = _exclusions(asked, block, families, launches)
    overrides, _ = _merge((*of_engine.read(asked.overrides), *of_family.read(block.overrides)))
    overridden = {**overrides, **{wish.name: wish for wish in (*families, *launches) if wish.name in overrides}}
    recommended = {wish.name: wish for wish in of_engine.read(asked.recommended)}
    return Wants(
        packages=tuple(merged[name] for name in sorted(merged) if name not in excluded),
        recommended=tuple(wish for wish in recommended.values() if wish.name not in {*merged, *excluded}),
        overrides=_texts(overridden.values()),
        exclusions=tuple(sorted(excluded)),
        notes=(*of_engine.notes, *of_family.notes, *of_launch.notes, *replaced),
    )


class _Reader:
    """Reads the words of one party, and keeps notes of what stands for nothing here."""

    def __init__(self, around: Surroundings, by: str, param: str) -> None:
        self._around, self._by, self._param = around, by, param
        self.notes: list[str] = []

    def read(self, words: Iterable[str]) -> tuple[Wish, ...]:
        found = tuple(read_words(words, self._around, self._by, self._param))
        self.notes.extend(one.reason for one in found if isinstance(one, Unanswerable))
        return tuple(one for one in found if isinstance(one, Wish))


def _surroundings(case: Case, place: Place) -> Surroundings:
    def of_engine(name: str) -> tuple[str, ...] | None:
        for engine in place.contributions.engines:
            if engine_key(engine.name) == engine_key(name):
                return place.supply.requirements(engine, case.variant, case.device).packages
        return None

    return Surroundings(
        engine=case.engine.name,
        versions=place.machine.packages,
        requirements=of_engine,
        cuda_version=place.machine.cuda_version if case.device == "cuda" else None,
    )


def _merge(wishes: Iterable[Wish]) -> tuple[dict[str, Wish], list[str]]:
    """By name the last wish, and a note for each that another party's took the place of."""
    merged: dict[str, Wish] = {}
    notes = []
    for wish in wishes:
        before = merged.get(wish.name)
        if before and before.requirement != wish.requirement and before.by != wish.by:
            texts = map(hide_credentials, (wish.requirement, before.requirement))
            notes.append("{} (the {}) takes the place of {} (the {}).".format(*_pairs(texts, (wish.by, before.by))))
        merged[wish.name] = wish
    return merged, notes


def _pairs(texts: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    for text, name in zip(texts, names, strict=True):
        yield from (text, name)


def _exclusions(
    asked: Requirements, block: VirtualEnvironment, families: tuple[Wish, ...], launches: tuple[Wish, ...]
) -> set[str]:
    """What nobody gets, but for names that somebody asks for who speaks later."""
    of_engine = {str(canonicalize_name(name)) for name in asked.exclusions} - {wish.name for wish in families}
    of_family = {str(canonicalize_name(name)) for name in block.exclusions}
    return (of_engine | of_family) - {wish.name for wish in launches}


def _refuse_references(
    families: tuple[Wish, ...], launches: tuple[Wish, ...], family: ModelFamily, place: Place
) -> None:
    """A URL or a path runs whatever lies there: only a plugin's family may name one, unless the server allows more."""
    if place.supply.urls_allowed:
        return
    checked = {LAUNCH_FIELD: launches}
    if place.contributions.registered(("families", key_of(family))):
        checked[FAMILY_FIELD] = families
    for param, wishes in checked.items():
        for wish in wishes:
            if wish.is_reference:
                raise BadRequest(
                    f"{hide_credentials(wish.requirement)!r} names a package by its place, which this server does not "
                    "allow. Name it by version and give an index or find_links, or start the server with "
                    "ENGINEHOUSE_PACKAGE_URLS=1.",
                    param=param,
                )


def gather_indexes(
    block: VirtualEnvironment | None, pip: PackageIndexes, of_engine: tuple[str, ...], links: tuple[str, ...]
) -> PackageIndexes:
    """Where packages come from: what the family says, else what pip's configuration says; and beside that the
    engine's own indexes and the launch's folders."""
    said = pip
    if block is not None:
        own = {name: value for name, value in _said_by(block).items() if value not in (None, ())}
        said = msgspec.structs.replace(pip if block.inherit_pip_config else PackageIndexes(), **own)
    return msgspec.structs.replace(
        said,
        extra_index_url=_once((*said.extra_index_url, *of_engine)),
        find_links=_once((*said.find_links, *links)),
    )


def _said_by(block: VirtualEnvironment) -> dict[str, object]:
    return {
        "index_url": block.index_url or None,
        "extra_index_url": _listed(block.extra_index_url),
        "find_links": _listed(block.find_links),
        "trusted_host": _listed(block.trusted_host),
        "index_strategy": block.index_strategy,
        "no_build_isolation": block.no_build_isolation,
    }


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(value or ())


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _texts(wishes: Iterable[Wish]) -> tuple[str, ...]:
    """By name, so that the order in which things were asked for makes no other environment."""
    return tuple(wish.requirement for wish in sorted(wishes, key=lambda wish: wish.name))


def _missing(wishes: Iterable[Wish], installed: Mapping[str, str]) -> Iterator[str]:
    for wish in wishes:
        version = installed.get(wish.name)
        shown = hide_credentials(wish.requirement)
        if version is None:
            yield f"its library {wish.name} is not installed (pip install '{shown}')"
        elif wish.is_reference or not Requirement(wish.requirement).specifier.contains(version, prereleases=True):
            yield f"it needs {shown}, {version} is installed"
