"""On which machine a model runs: the node of a cluster that a plan is made for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..sdk import Node
from .addresses import is_this_machine


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where workers of a plan run: the names of a cluster and of a node of it. here: it is the server's machine."""

    cluster: str = "local"
    node: str = "local"
    here: bool = True


def choose_node(nodes: Sequence[Node], asked: Iterable[str], is_here: Callable[[str], bool] = is_this_machine) -> Node:
    """The first node that is asked for by name or address; without one that with the most free memory, that of
    accelerators first. nodes: at least one."""
    for address in asked:
        for node in nodes:
            if is_called(node, address, is_here):
                return node
    return max(nodes, key=_free)


def is_called(node: Node, address: str, is_here: Callable[[str], bool] = is_this_machine) -> bool:
    """Whether a caller means this node. is_here: whether an address is one of the server's machine."""
    if address in (node.name, node.address):
        return True
    return not node.address and is_here(address)


def _free(node: Node) -> tuple[int, int]:
    return sum(device.free_bytes for device in node.devices), node.free_bytes or 0
