"""What all deployments stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from .clusters import Clusters
from .planning import Plan
from .plugins import PluginCensus
from .rooms import Rooms
from .routing import RoutingTable
from .settings import Settings
from .store import Store


class Ground(msgspec.Struct, frozen=True):
    """One for the whole house. plan: from a launch request to a Plan, raising EnginehouseError."""

    settings: Settings
    census: PluginCensus
    clusters: Clusters
    store: Store
    routing: RoutingTable
    loading: asyncio.Semaphore
    plan: Callable[[Any], Awaitable[Plan]]
    rooms: Rooms
