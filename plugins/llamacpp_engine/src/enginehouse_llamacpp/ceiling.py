"""The ceiling of this process's memory: who stands above it leaves, and the host starts a fresh worker."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

from enginehouse.sdk import LaunchFailed

GIB = 2**30
_STATM = Path("/proc/self/statm")  # Linux's; elsewhere there is no ceiling
_log = logging.getLogger(__name__)


class Ceiling:
    """limit: GiB, weights that are mapped included; 0 for none."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._leaving = False

    def check_loaded(self) -> None:
        """Raises LaunchFailed where the model alone is more: such a worker would leave after each answer."""
        if self._is_above():
            raise LaunchFailed(
                f"The model takes {_resident_gib():.3f} GiB as soon as it is loaded, and memory_gib allows "
                f"{self._limit:g}; launch it with more, or with smaller caches (n_ctx, n_parallel)."
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
