"""Launch options of flexible models; what is not named here goes to the launcher."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from enginehouse.sdk import Options

Seconds = Annotated[float, Meta(gt=0, description="A call that takes longer is ended, and its worker with it")]
Megabytes = Annotated[
    int, Meta(ge=1, description="MiB: a worker that takes more after a call is replaced by a fresh one")
]
Launcher = Annotated[str, Meta(min_length=1, description="What builds the model; replaces the registered one")]
Arguments = Annotated[
    dict[str, Any] | str, Meta(description="Arguments for the launcher, over those that are registered")
]
Rest = Annotated[dict[str, Any], Meta(description="Whatever else is given: arguments for the launcher")]


class FlexibleOptions(Options, frozen=True, kw_only=True):
    """infer_seconds: of one call, or between two values of a stream. rest: arguments for the launcher."""

    launcher: Launcher | None = None
    launcher_args: Arguments | None = None
    infer_seconds: Seconds = 600.0
    memory_limit_mb: Megabytes | None = None
    rest: Rest = field(default_factory=dict)
