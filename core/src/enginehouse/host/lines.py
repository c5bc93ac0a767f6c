"""Connections to workers, by address: the path of a Unix socket, or host:port."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class HostPort(NamedTuple):
    """An address on the network."""

    host: str
    port: int


def read_address(address: str) -> str | HostPort:
    """The path of a Unix socket, or host and port. Raises ValueError for what is neither."""
    if address.startswith("/"):
        return address
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{address!r} is neither an absolute path nor host:port")
    return HostPort(host.removeprefix("[").removesuffix("]"), int(port))


async def open_line(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError where nobody listens, ValueError for what is no address."""
    place = read_address(address)
    if isinstance(place, str):
        return await asyncio.open_unix_connection(place)
    return await asyncio.open_connection(*place)
