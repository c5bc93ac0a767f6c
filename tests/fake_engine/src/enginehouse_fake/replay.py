"""The engine `replay`: answers as a cassette says that another engine did."""

from __future__ import annotations

import sys
from typing import Annotated

from msgspec import Meta

from enginehouse.sdk import BadRequest, Options, WorkerOrder


class ReplayOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cassette: Annotated[str, Meta(description="Absolute path of the cassette")] = ""
    speed: Annotated[float, Meta(description="1 keeps the pauses between chunks, 2 halves them, 0: none", ge=0)] = 1.0


def command(order: WorkerOrder) -> tuple[str, ...]:
    """The player's command line, run by the server's interpreter: that is where the kit is installed."""
    values = order.runner.option_values if order.runner else {}
    cassette = str(values.get("cassette") or "")
    if not cassette:
        raise BadRequest("Say which cassette to play: the option `cassette` is missing.", param="cassette")
    speed = str(values.get("speed", 1.0))
    return (sys.executable, "-P", "-m", "enginehouse.testing.replaying", cassette, order.socket, order.model_uid, speed)
