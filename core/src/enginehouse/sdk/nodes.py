"""Machines that workers run on, as values."""

from __future__ import annotations

import sys

import msgspec


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator. memory in bytes; index as its driver counts.

    busy: part of the last moment in which it computed, 0 to 1; None where nobody says.
    """

    kind: str
    index: int
    name: str = ""
    total_bytes: int = 0
    free_bytes: int = 0
    busy: float | None = None

    @property
    def label(self) -> str:
        return f"{self.kind}:{self.index}"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A machine of a cluster, as it is now.

    name: by which its cluster knows it. address: its IP address or host name; empty for the server's own machine.
    platform: as `sys.platform` says there. busy: of all processors, 0 to 1. total_bytes, free_bytes: of its memory.
    Figures are None where nobody says.
    """

    name: str
    address: str = ""
    platform: str = sys.platform
    cpus: int | None = None
    busy: float | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    devices: tuple[Device, ...] = ()
