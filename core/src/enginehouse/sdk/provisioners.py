"""Provisioners: how a worker's environment (interpreter and libraries) is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec


class EnvironmentNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment must carry: PEP 508 requirements of the engine (its libraries)."""

    engine: str
    requirements: tuple[str, ...] = ()


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that exists. python: path of its interpreter; variables: added to the worker's."""

    provisioner: str
    python: str
    variables: dict[str, str] = {}


class Provision(Protocol):
    """Makes, or finds, an environment for `need`, building in `folder`; `report` takes one line of progress.

    Raises EnginehouseError that says which requirement cannot be met and what to do.
    """

    def __call__(self, need: EnvironmentNeed, folder: Path, report: Callable[[str], None]) -> Environment: ...


class ProvisionerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A provisioner. provision: "module:function" with the shape of `Provision`."""

    name: str
    provision: str
    summary: str = ""
