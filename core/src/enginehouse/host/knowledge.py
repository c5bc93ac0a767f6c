"""What planning goes by, looked up: the plugins' contributions, and the machine to run on as it is at this moment."""

from __future__ import annotations

import asyncio
import os
from functools import partial

from ..sdk import Node, PackageIndexes
from .clusters import Clusters
from .devices import Machine, driver_cuda_version, installed_packages
from .drafts import draft_family
from .environment_need import Supply
from .launch_request import LaunchRequest
from .pip_configuration import read_pip_configuration
from .planning import Knowledge, addresses_asked
from .plugins import PluginCensus
from .settings import Settings
from .sites import Site, choose_node, is_called
from .torch_builds import SOURCES, VARIABLE

MAKER = "uv"  # the provisioner that makes environments


async def gather_knowledge(
    census: PluginCensus, settings: Settings, clusters: Clusters, request: LaunchRequest | None = None
) -> Knowledge:
    """Looks without changing anything that runs. May take a second where accelerators are asked, and longer when
    `request` names a model on a hub that is met for the first time: its small files are fetched."""
    contributions = census.contributions
    drafted = await draft_family(request, contributions, settings) if request else None
    node = choose_node(await clusters.nodes(), addresses_asked(request) if request else ())
    machine, pip = await asyncio.to_thread(_look, node)
    return Knowledge(
        contributions,
        machine,
        census.choose_engine,
        settings.trust_remote_code,
        is_here=partial(is_called, node),
        site=Site(cluster=clusters.default, node=node.name, here=not node.address),
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


def _look(node: Node) -> tuple[Machine, PackageIndexes]:
    has_cuda = not node.address and any(device.kind == "cuda" for device in node.devices)
    machine = Machine(
        platform=node.platform,
        devices=node.devices,
        packages=installed_packages(),
        cuda_version=driver_cuda_version() if has_cuda else None,
        total_bytes=node.total_bytes,
        free_bytes=node.free_bytes,
    )
    return machine, read_pip_configuration()
