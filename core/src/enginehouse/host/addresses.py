"""Addresses of this machine."""

from __future__ import annotations

import ipaddress
import socket

NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})


def is_this_machine(address: str) -> bool:
    """Whether an address ("host", "host:port", "[v6]:port") is one of this machine's own.

    No name server is asked: a name counts when it is this machine's own.
    """
    host = _without_port(address.strip())
    if host in NAMES or host.lower() == socket.gethostname().lower():
        return True
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return False
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))  # the kernel lets nobody have an address that is not the machine's
    except OSError:
        return False
    return True


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
