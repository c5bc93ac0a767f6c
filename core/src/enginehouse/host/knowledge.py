"""What planning goes by, looked up: the plugins' contributions, and this machine as it is at this moment."""

from __future__ import annotations

import asyncio

from .devices import look_at_machine
from .matching import libraries
from .planning import Knowledge
from .plugins import PluginCensus
from .settings import Settings


async def gather_knowledge(census: PluginCensus, settings: Settings) -> Knowledge:
    """Looks without changing anything. May take a second where accelerators are asked."""
    contributions = census.contributions
    machine = await asyncio.to_thread(look_at_machine, libraries(contributions.engines))
    return Knowledge(contributions, machine, census.choose_engine, settings.trust_remote_code)
