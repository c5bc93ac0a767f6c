"""How much memory this process takes."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def used_megabytes() -> int:
    """MiB that are in memory now; where the system does not tell, the most that ever were."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * _PAGE // 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 2**10  # bytes there, KiB elsewhere
