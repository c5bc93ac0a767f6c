"""Clusters: where workers run, and how they are started, found again and ended there.

The host plans a model, fetches its weights, provides its environment and writes its order into a folder of the home;
a cluster makes a running worker of the order on one of its nodes. The paths of an order are the server's: a cluster
whose nodes do not see the home carries there what the worker needs. All of a cluster runs on the server's event
loop: what takes longer than a moment is awaited, or goes to a thread.

`enginehouse.sdk.keepers` starts and claims the keepers that hold workers on this machine, and
`enginehouse.sdk.this_machine` looks at it: what the built-in cluster `local` is made of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import msgspec

from .errors import InvalidSpec
from .nodes import Node
from .worker import ExitRecord, WorkerOrder

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class WorkerHandle(Protocol):
    """A worker that runs. Whoever holds the handle keeps the worker's lease renewed until it ends or is left.

    address: where the server reaches its HTTP: the absolute path of a Unix socket, or "host:port" where nobody but the
    server can ask. node: the name of the node it runs on. pid: its process, where that is one of the server's
    machine, else None. started_at: seconds since 1970.
    """

    @property
    def address(self) -> str: ...

    @property
    def node(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def started_at(self) -> float: ...

    async def wait(self) -> ExitRecord:
        """How it ended, once it has. May be cancelled and asked again; the worker does not notice."""

    async def stop(self, grace: float) -> ExitRecord:
        """Ends it: SIGTERM, after `grace` seconds SIGKILL, to all its processes. Returns when nothing of it is left
        running. Of one that has ended already, how that was."""

    async def logs(self, lines: int) -> Sequence[str]:
        """The last lines that it printed, on stdout and stderr together; also after its end."""

    async def leave(self) -> None:
        """Lets go of it: it runs on, and `adopt` finds it as long as its lease lasts."""


class Cluster(Protocol):
    """Where workers run. The server makes one when it starts and keeps it as long as it runs."""

    async def nodes(self) -> Sequence[Node]:
        """The machines that take workers now, with figures of now; asked while planning. At least one."""

    async def start(self, order: WorkerOrder, node: str) -> WorkerHandle:
        """Starts a worker on the node of that name, in the order's folder, where the order lies as order.json, with
        the order's lease. Returns when it is held, which is before it is loaded. Raises EnginehouseError; then, and
        when cancelled, nothing is left running."""

    async def adopt(self, order: WorkerOrder, node: str) -> WorkerHandle | ExitRecord | None:
        """A worker that was started by a server before this one; how it ended where it has, None where nobody
        knows."""


class ClusterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster, light. name: what `ENGINEHOUSE_CLUSTER` chooses it by, matched without regard to case.

    cluster: "module:Class" that gives a `Cluster` when it is called without arguments; imported by the server when
    the cluster is used, and only then.
    """

    name: str
    cluster: str
    summary: str = ""

    def __post_init__(self) -> None:
        if not self.name or not _TARGET.fullmatch(self.cluster):
            raise InvalidSpec(f"Cluster {self.name!r}: {self.cluster!r} is not of the form 'module:Class'.")
