"""The house: settings, plugins, state and deployments put together, and taken apart in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from .adoption import adopt_workers
from .autostart import Autostart
from .clusters import Clusters
from .contributions import Contributions
from .deployments import Deployments
from .environments.acts import Ground as EnvironmentGround
from .environments.care import EnvironmentCare
from .environments.holding import sweep
from .environments.shelf import Shelf
from .environments.works import Works
from .ground import Ground
from .home import held_home, private_folder
from .kept_responses import KeptResponses
from .keys import Keys, asks_for_keys, open_keys
from .knowledge import gather_knowledge
from .launch_history import LaunchHistory
from .launch_request import LaunchRequest
from .outlook import estimate_plan
from .planning import Plan, make_plan
from .plugin_installer import PluginInstaller
from .plugin_users import code_of
from .plugins import PluginCensus, load_plugins
from .registrations import Registrations
from .rooms import Rooms
from .routing import RoutingTable
from .settings import Settings
from .store import Store, open_store
from .weight_cache import clear_removed

LOADS_AT_ONCE = max(4, 2 * (os.cpu_count() or 1))  # loading is half reading, half computing


class House(msgspec.Struct, frozen=True):
    """A running host."""

    settings: Settings
    plugins: PluginCensus
    clusters: Clusters
    installer: PluginInstaller
    deployments: Deployments
    routing: RoutingTable
    keys: Keys
    registrations: Registrations
    responses: KeptResponses
    autostart: Autostart
    launch_history: LaunchHistory
    environments: EnvironmentCare

    @property
    def catalog(self) -> Contributions:
        """All that the loaded plugins contribute: model types, families, engines, ..."""
        return self.plugins.contributions


class Departure:
    """How to leave: workers are left running for the next server, unless somebody says otherwise before."""

    def __init__(self) -> None:
        self.leave_workers = True


@asynccontextmanager
async def open_house(settings: Settings, departure: Departure | None = None) -> AsyncIterator[House]:
    """Holds the home, loads plugins, opens the database, takes up what was declared.

    On the way out the workers run on under their lease and a later server adopts them, unless `departure` says
    otherwise. Raises EnginehouseError: another server on this home, a home or database that cannot be used, a cluster
    that is not there.
    """
    departure = departure or Departure()
    with held_home(settings.home, f"{settings.host}:{settings.port}"):
        private_folder(settings.workers_folder)
        clear_removed(settings.home)
        sweep(Shelf(settings.home))
        census = load_plugins(settings)
        clusters = Clusters(census.contributions, settings.cluster)
        registrations = Registrations(census.contributions, settings.home)
        registrations.load()
        store = await open_store(settings.database_url)
        try:
            ground = _ground(settings, census, clusters, store)
            deployments = Deployments(ground)
            care = EnvironmentCare(
                EnvironmentGround(census, settings),
                store,
                registrations,
                ground.plan,
                Works(settings.environment_seconds),
            )
            declared, found = await adopt_workers(settings, clusters, store, await store.declared())
            installer = PluginInstaller(settings, census, deployments)
            installer.sweep(found.plans.values())
            autostart = Autostart(store, deployments)
            declared = await autostart.order(declared, found.workers)
            await deployments.restore(declared, found.workers, found.plans)
            try:
                async with open_keys(store, asks_for_keys(settings)) as keys:
                    await autostart.begin()
                    yield House(
                        settings=settings,
                        plugins=census,
                        clusters=clusters,
                        installer=installer,
                        deployments=deployments,
                        routing=ground.routing,
                        keys=keys,
                        registrations=registrations,
                        responses=KeptResponses(store, settings.responses_kept, settings.responses_seconds),
                        autostart=autostart,
                        launch_history=LaunchHistory(store),
                        environments=care,
                    )
            finally:
                await care.works.close()
                await autostart.close()
                await deployments.close(departure.leave_workers)
        finally:
            await store.close()


def _ground(settings: Settings, census: PluginCensus, clusters: Clusters, store: Store) -> Ground:
    return Ground(
        settings=settings,
        census=census,
        clusters=clusters,
        store=store,
        routing=RoutingTable(),
        loading=asyncio.Semaphore(LOADS_AT_ONCE),
        plan=_Planner(census, settings, clusters),
        rooms=Rooms(settings, clusters.nodes),
    )


class _Planner:
    """Plans against the machine to run on as it is at that moment."""

    def __init__(self, census: PluginCensus, settings: Settings, clusters: Clusters) -> None:
        self._census = census
        self._settings = settings
        self._clusters = clusters

    async def __call__(self, request: LaunchRequest) -> Plan:
        known = await gather_knowledge(self._census, self._settings, self._clusters, request)
        plan = make_plan(request, known)
        memory = await asyncio.to_thread(estimate_plan, plan, known, self._settings.home)
        return msgspec.structs.replace(plan, memory=memory, code=code_of(plan, self._census))
