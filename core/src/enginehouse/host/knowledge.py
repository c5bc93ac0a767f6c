"""What planning goes by, looked up: the plugins' contributions, and this machine as it is at this moment."""

from __future__ import annotations

import asyncio
import os

import msgspec

from ..sdk import PackageIndexes
from .devices import Machine, driver_cuda_version, installed_packages, look_at_machine
from .drafts import draft_family
from .environment_need import Supply
from .launch_request import LaunchRequest
from .pip_configuration import read_pip_configuration
from .planning import Knowledge
from .plugins import PluginCensus
from .settings import Settings
from .torch_builds import SOURCES, VARIABLE

MAKER = "uv"  # the provisioner that makes environments


async def gather_knowledge(census: PluginCensus, settings: Settings, request: LaunchRequest | None = None) -> Knowledge:
    """Looks without changing anything that runs. May take a second where accelerators are asked, and longer when
    `request` names a model on a hub that is met for the first time: its small files are fetched."""
    contributions = census.contributions
    drafted = await draft_family(request, contributions, settings) if request else None
    machine, pip = await asyncio.to_thread(_look)
    return Knowledge(
        contributions,
        machine,
        census.choose_engine,
        settings.trust_remote_code,
        drafted=drafted,
        model_src=settings.model_src,
        supply=Supply(
            can_make=contributions.provisioner(MAKER) is not None,
            enabled=settings.enable_virtual_env,
            pip=pip,
            urls_allowed=settings.package_urls,
            find_links_roots=settings.virtual_env_find_links_allowed_roots,
            uv_says={name: value for name in (VARIABLE, *SOURCES) if (value := os.environ.get(name))},
            requirements=census.requirements,
        ),
    )


def _look() -> tuple[Machine, PackageIndexes]:
    machine = look_at_machine()
    has_cuda = any(device.kind == "cuda" for device in machine.devices)
    cuda_version = driver_cuda_version() if has_cuda else None
    machine = msgspec.structs.replace(machine, packages=installed_packages(), cuda_version=cuda_version)
    return machine, read_pip_configuration()
