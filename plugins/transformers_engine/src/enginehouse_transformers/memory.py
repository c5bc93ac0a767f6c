"""How much memory keys and values may take."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from .options import TransformersOptions

SHARE_OF_CPU = 0.5  # the other half is for whatever else runs on the machine
SHARE_OF_DEVICE = 0.85  # the rest is for a step's own intermediate results
_MEMINFO = Path("/proc/meminfo")


def cache_bytes(options: TransformersOptions, device: torch.device) -> int | None:
    """The budget of the cache, measured when the model is loaded; None when nobody can tell."""
    if options.cache_gib:
        return int(options.cache_gib * 2**30)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE_OF_DEVICE)
    if device.type == "mps":
        return int((torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()) * SHARE_OF_DEVICE)
    free = _free_on_cpu()
    return None if free is None else int(free * SHARE_OF_CPU)


def _free_on_cpu() -> int | None:
    """Bytes that processes can still have; what the whole machine has where the system does not say."""
    if _MEMINFO.exists():
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
