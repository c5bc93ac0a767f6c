"""What planning goes by, looked up: the plugins' contributions, and this machine as it is at this moment."""

from __future__ import annotations

import asyncio

from .devices import look_at_machine
from .drafts import draft_family
from .launch_request import LaunchRequest
from .matching import libraries
from .planning import Knowledge
from .plugins import PluginCensus
from .settings import Settings


async def gather_knowledge(census: PluginCensus, settings: Settings, request: LaunchRequest | None = None) -> Knowledge:
    """Looks without changing anything that runs. May take a second where accelerators are asked, and longer when
    `request` names a model on a hub that is met for the first time: its small files are fetched."""
    contributions = census.contributions
    drafted = await draft_family(request, contributions, settings) if request else None
    machine = await asyncio.to_thread(look_at_machine, libraries(contributions.engines))
    return Knowledge(
        contributions,
        machine,
        census.choose_engine,
        settings.trust_remote_code,
        drafted=drafted,
        model_src=settings.model_src,
    )
