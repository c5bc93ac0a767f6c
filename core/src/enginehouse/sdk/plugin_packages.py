"""What the host and the process that fetches a plugin's packages say to each other. Not for plugins."""

from __future__ import annotations

import msgspec

from .provisioners import PackageIndexes


class PackageOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Fetch a distribution into `folder`, with what it needs and the server lacks.

    source: a requirement, or the place of a wheel, an sdist or a source tree. beside: versions of what other plugins
    in the home brought along.
    """

    source: str
    folder: str
    indexes: PackageIndexes = PackageIndexes()
    beside: dict[str, str] = {}


class PackageFound(msgspec.Struct, frozen=True, kw_only=True):
    """What was fetched. requires: Requires-Dist as its author wrote it; added: "name==version" of what was installed
    beside it; modules: names of the plugin's own; digest: of all files; size_bytes: of them all."""

    distribution: str
    version: str
    requires: tuple[str, ...]
    added: tuple[str, ...]
    modules: tuple[str, ...]
    digest: str
    size_bytes: int


class PackageOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Either what was found, or why there is nothing. code: of the error."""

    found: PackageFound | None = None
    code: str = ""
    message: str = ""
