"""The light half: all there is in Python. The server binary speaks HTTP on the order's socket."""

from __future__ import annotations

import shutil
from pathlib import Path

from enginehouse.sdk import Asks, CannotRun, EngineSpec, ModelFamily, Variant, WorkerOrder, hookimpl

ASKS = Asks(subprocesses="Node.js, as the worker")
SERVER = Path(__file__).parent / "server" / "main.js"


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="node",
            tasks=("chat", "generate"),
            formats=("node",),
            command="enginehouse_node.plugin:command",
            summary="A server for Node.js that says what it was told",
        ),
    )


@hookimpl
def enginehouse_families() -> tuple[ModelFamily, ...]:
    nothing = Variant(format="node", size_in_billions="0_001", sources=("package:enginehouse_node",))
    return (
        ModelFamily(
            name="node-test",
            model_type="LLM",
            variants=(nothing,),
            abilities=("chat", "generate"),
            context_length=4096,
            description="Says what it was told.",
        ),
    )


def command(order: WorkerOrder) -> tuple[str, ...]:
    """The server's command line. Raises CannotRun without Node.js."""
    node = shutil.which("node")
    if node is None:
        raise CannotRun("Engine node needs Node.js 18 or newer on the server's PATH; install it (package nodejs).")
    context = order.runner.context_length if order.runner else None
    return (node, str(SERVER), order.socket, order.model_uid, str(context or 4096))
