"""Which requirements an interpreter does not satisfy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from packaging.requirements import Requirement

VersionOf = Callable[[str], str | None]


def missing_requirements(
    requirements: Iterable[str], version_of: VersionOf, markers: Mapping[str, str] | None = None
) -> list[str]:
    """Those that do not hold. version_of: the installed version of a name, or None; markers: PEP 508 variables of the
    interpreter, for one that is not this."""
    return [text for text in requirements if not _holds(Requirement(text), version_of, markers or {})]


def _holds(requirement: Requirement, version_of: VersionOf, markers: Mapping[str, str]) -> bool:
    if requirement.marker and not requirement.marker.evaluate({**markers, "extra": ""}):
        return True
    version = version_of(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)
