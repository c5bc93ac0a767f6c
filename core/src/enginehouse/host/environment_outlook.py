"""A worker's environment foretold: who makes it, what it carries, and whether it is there already."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..sdk import EnvironmentNeed, PackageIndexes
from ..sdk.credentials import hide_credentials


class RequirementState(msgspec.Struct, frozen=True, kw_only=True):
    """A PEP 508 requirement. installed: the version that is there; satisfied: whether nothing is missing."""

    requirement: str
    installed: str | None
    satisfied: bool


class EnvironmentOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker will run with.

    reason: why this provisioner. interpreter: None while the environment is not made. indexes: where packages come
    from, without credentials; None where nothing is installed. notes: of wishes that came to nothing, or to less.
    locked: whether it is known to which packages it comes; then digest names the environment of so many packages, and
    exists says whether it stands. All None where none is made.
    """

    provisioner: str
    reason: str
    interpreter: str | None
    requirements: tuple[RequirementState, ...]
    overrides: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    accelerator: str = "cpu"
    indexes: PackageIndexes | None = None
    notes: tuple[str, ...] = ()
    locked: bool | None = None
    digest: str | None = None
    exists: bool | None = None
    packages: int | None = None


def foresee_environment(
    need: EnvironmentNeed, notes: tuple[str, ...], installed: Mapping[str, str]
) -> EnvironmentOutlook:
    """The outlook of a need. installed: versions of the server's distributions."""
    made = need.provisioner == "uv"
    return EnvironmentOutlook(
        provisioner=need.provisioner,
        reason=need.reason,
        interpreter=None if made else need.place or sys.executable,
        requirements=tuple(requirement_states(need.requirements, {} if made else installed)),
        overrides=tuple(map(hide_credentials, need.overrides)),
        exclusions=need.exclusions,
        accelerator=need.accelerator,
        indexes=hide_in_indexes(need.indexes) if made else None,
        notes=notes,
    )


def requirement_states(requirements: Iterable[str], installed: Mapping[str, str]) -> Iterator[RequirementState]:
    """Each requirement, with what is installed."""
    for text in requirements:
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        version = installed.get(canonicalize_name(requirement.name))
        fine = version is not None and requirement.specifier.contains(version, prereleases=True)
        yield RequirementState(requirement=hide_credentials(text), installed=version, satisfied=fine or not wanted)


def hide_in_indexes(indexes: PackageIndexes) -> PackageIndexes:
    """Without credentials."""
    return msgspec.structs.replace(
        indexes,
        index_url=hide_credentials(indexes.index_url) if indexes.index_url else None,
        extra_index_url=tuple(map(hide_credentials, indexes.extra_index_url)),
        find_links=tuple(map(hide_credentials, indexes.find_links)),
    )
