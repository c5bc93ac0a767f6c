"""A ceiling of a worker's memory: a process that stands above it leaves, and the host starts a fresh one.

For engines in Python whose libraries do not give back all they take. Not imported with `enginehouse.sdk`.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from .errors import LaunchFailed

GIB = 2**30
_STATM = Path("/proc/self/statm")  # Linux's; elsewhere there is no ceiling
_log = logging.getLogger(__name__)

MemoryGib = Annotated[
    float,
    Meta(
        description="Memory of this process beyond which it ends what it has begun and leaves, so that a fresh one "
        "takes its place. 0: no such limit.",
        ge=0,
        le=100_000,
    ),
]
"""The launch option that says it."""


class MemoryCeiling:
    """limit: GiB, weights that are mapped included; 0 for none. May be asked on any thread."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._leaving = False

    def check_loaded(self) -> None:
        """Raises LaunchFailed where the loaded model alone is more: such a worker would leave after each answer."""
        if self._is_above():
            raise LaunchFailed(
                f"The model takes {_resident_gib():.3f} GiB as soon as it is loaded, and memory_gib allows "
                f"{self._limit:g}; launch it with more, or let it hold less (a smaller context, fewer sequences)."
            )

    def check(self) -> None:
        """Leaves as if told to, when this process has become too large: what has begun is ended first."""
        if not self._leaving and self._is_above():
            self._leaving = True
            _log.warning(
                "This process holds %.3f GiB, more than memory_gib=%g; it leaves.", _resident_gib(), self._limit
            )
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_above(self) -> bool:
        return bool(self._limit) and _resident_gib() > self._limit


def _resident_gib() -> float:
    if not _STATM.exists():
        return 0.0
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / GIB
