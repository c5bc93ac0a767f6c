"""A deployment as those see it who measure: beside what it is, what has become of it since the server started."""

from __future__ import annotations

from typing import NamedTuple

from .ledger import Pools
from .loads import Loads
from .views import DeploymentView


class Observation(NamedTuple):
    """takes: estimated bytes in each memory, nothing while it is not loaded; queued: requests that wait for a turn.

    groups: process groups of its workers, for those that measure what it takes.
    """

    view: DeploymentView
    loads: Loads
    takes: Pools
    queued: int
    groups: tuple[int, ...]
