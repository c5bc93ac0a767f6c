"""Clusters in use: made when they are first needed, and asked inside a guard, since they are plugins' code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..sdk import CannotRun, Cluster, ClusterSpec, EnginehouseError, LaunchFailed, Node
from .contributions import Contributions
from .targets import resolve

T = TypeVar("T")
NODES_SECONDS = 30.0  # a look at this machine takes two where a driver is slow; a cluster may ask others, at once


class Clusters:
    """Those that plugins contribute, by name. default: the name of the one where new workers are started.

    Raises CannotRun when that is not there, or cannot be made: a server that can start no worker does not start.
    """

    def __init__(self, contributions: Contributions, default: str) -> None:
        self._contributions = contributions
        self._made: dict[str, tuple[ClusterSpec, Cluster]] = {}
        self.default = self._spec(default).name
        self.get(default)

    def get(self, name: str) -> Cluster:
        """The cluster of that name. Of one whose plugin was upgraded a new one: workers that run keep the old.

        Raises CannotRun when there is none, or it cannot be made.
        """
        spec = self._spec(name)
        made = self._made.get(spec.name)
        if made is None or made[0] is not spec:
            made = self._made[spec.name] = (spec, _make(spec))
        return made[1]

    async def nodes(self) -> tuple[Node, ...]:
        """The default cluster's. Raises EnginehouseError when it has none, or does not say."""
        nodes = tuple(await asked(self.default, "name its nodes", self.get(self.default).nodes, NODES_SECONDS))
        if not nodes:
            raise LaunchFailed(
                f"The cluster {self.default} has no nodes now; see to it that one of its machines answers."
            )
        return nodes

    def _spec(self, name: str) -> ClusterSpec:
        spec = self._contributions.cluster(name)
        if spec is None:
            known = ", ".join(sorted(one.name for one in self._contributions.clusters)) or "none"
            raise CannotRun(
                f"There is no cluster {name!r}; there are: {known}. Choose one with --cluster or ENGINEHOUSE_CLUSTER, "
                "or see in `enginehouse plugins list` why the plugin that brings it is not loaded.",
                param="cluster",
            )
        return spec


async def asked(cluster: str, what: str, ask: Callable[[], Awaitable[T]], seconds: float) -> T:
    """What a cluster answers. Raises EnginehouseError; LaunchFailed for whatever else it raises, and when it takes too
    long. what: as in "The cluster could not ..."."""
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError as error:
        raise LaunchFailed(f"The cluster {cluster} could not {what} within {seconds:g} s.") from error
    except EnginehouseError:
        raise
    except OSError as error:
        raise LaunchFailed(f"The cluster {cluster} could not {what}: {error}.") from error
    except Exception as error:  # a plugin's code; what went wrong in it is said, and concerns this worker alone
        told = f"{type(error).__name__}: {error}"
        raise LaunchFailed(f"The cluster {cluster} could not {what}: {told}. Its plugin is at fault.") from error


def _make(spec: ClusterSpec) -> Cluster:
    try:
        cluster: Cluster = resolve(spec.cluster)()
    except EnginehouseError as error:
        raise CannotRun(f"The cluster {spec.name} cannot be used: {error.message}") from error
    except (Exception, SystemExit) as error:  # a plugin's code, imported and called here for the first time
        told = f"{type(error).__name__}: {error}"
        raise CannotRun(f"The cluster {spec.name} cannot be used: {told}. Its plugin is at fault.") from error
    return cluster
