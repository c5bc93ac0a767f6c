"""Provisioners: how a worker's environment (interpreter and libraries) is made.

The host decides what an environment must carry (`EnvironmentNeed`), keeps the lock, names the environment by it,
renames what was built into its place, shares it and throws it away. A provisioner either names an interpreter that
is there already (`provision`), or makes a new environment in two steps: `resolve` turns the need into a lock,
`build` makes a folder from the lock alone. Provisioners run in a process of their own, which the host ends when
the launch is cancelled: they need no way to be told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec


class PackageIndexes(msgspec.Struct, frozen=True, kw_only=True):
    """Where packages come from, with pip's words and meaning.

    index_strategy: uv's word for what happens when several indexes have a package; pip's meaning is
    "unsafe-best-match". certificate: file of authorities that indexes are checked against.
    no_index: nothing but `find_links` is asked.
    torch_backend: uv's word for the build of PyTorch that is taken, from PyTorch's own index: "cpu", "cu128", ...
    """

    index_url: str | None = None
    extra_index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_host: tuple[str, ...] = ()
    index_strategy: str = "unsafe-best-match"
    certificate: str | None = None
    no_build_isolation: bool = False
    no_index: bool = False
    torch_backend: str | None = None


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine needs for one variant on one device; the answer of the hook `enginehouse_requirements`.

    packages: PEP 508, in force wherever the engine runs. Of one name the later word counts.
    recommended: PEP 508, what some models or requests use: in environments that are made, never missed in others.
    overrides, exclusions: as in `EnvironmentNeed`. extra_index_url: of indexes that carry what no other does.
    """

    packages: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    extra_index_url: tuple[str, ...] = ()


class EnvironmentNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment must carry.

    requirements: PEP 508, what the engine, the family and the launch ask for, one of a name.
    overrides: PEP 508, taken instead of whatever any package says of that name.
    exclusions: names that are never installed, whoever asks.
    accelerator: what wheels are chosen for: "cpu", "cuda", "mps".
    provisioner, place: who makes it, and for `path` the interpreter to use.
    reason: why this provisioner, for people.
    carried: distributions of the server that run inside it (the runner, the engine's plugin, parsers' plugins).
    """

    engine: str
    requirements: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    indexes: PackageIndexes = PackageIndexes()
    accelerator: str = "cpu"
    provisioner: str = "system"
    place: str = ""
    reason: str = ""
    carried: tuple[str, ...] = ()


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True, order=True, omit_defaults=True):
    """One package of a lock. hashes: "sha256:<hex>" of each file that may be installed; url: of a direct reference.

    built: it comes as source and is built here. size_bytes: of its file, where the index says.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    url: str | None = None
    built: bool = False
    size_bytes: int | None = None


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Every package of an environment, sorted by name. python: "3.11.9"; platform: "linux-x86_64"."""

    python: str
    platform: str
    accelerator: str
    packages: tuple[LockedPackage, ...]


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that exists. python: path of its interpreter; variables: added to the worker's.

    digest: the name that its lock gives it; empty when the host does not own it.
    """

    provisioner: str
    python: str
    variables: dict[str, str] = {}
    digest: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Progress. phase: "wait" (for another who builds the same), "resolve", "download", "build", "install" or
    "check"; done and total count packages."""

    phase: str
    package: str = ""
    done: int = 0
    total: int = 0


Report = Callable[[Step], None]


class Provision(Protocol):
    """Names an environment that is there, for `need`. Raises EnginehouseError that says what it lacks."""

    def __call__(self, need: EnvironmentNeed, folder: Path, report: Report) -> Environment: ...


class Resolve(Protocol):
    """Every package that `need` comes to, for this machine. Raises EnginehouseError with the resolver's own words."""

    def __call__(self, need: EnvironmentNeed, report: Report) -> Lock: ...


class Build(Protocol):
    """Makes the environment of `lock` in `folder`, with `bin/python`; `need` only says where packages come from.

    The folder may be renamed afterwards. Raises EnginehouseError; what lies in the folder then is thrown away.
    """

    def __call__(self, lock: Lock, need: EnvironmentNeed, folder: Path, report: Report) -> None: ...


class ProvisionerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A provisioner. provision, resolve, build: "module:function" of those shapes; the first, or the other two.

    quick: `provision` only looks, within milliseconds, and names the server's own interpreter: it is asked in the
    server's process, and what the worker runs is not carried into it.
    """

    name: str
    provision: str = ""
    resolve: str = ""
    build: str = ""
    quick: bool = False
    summary: str = ""
