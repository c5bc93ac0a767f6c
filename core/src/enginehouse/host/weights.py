"""Weights: brought to this machine by the source plugin that their URI names."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from ..sdk import EnginehouseError, FetchProgress, LaunchFailed
from .contributions import Contributions
from .targets import resolve

Report = Callable[[FetchProgress], None]


async def fetch_weights(uri: str, contributions: Contributions, home: Path, report: Report) -> Path:
    """The folder (or file) of the weights. `report` is called on the event loop.

    Raises EnginehouseError: the source's own, or LaunchFailed when it breaks.
    """
    scheme, _, reference = uri.partition(":")
    source = contributions.source(scheme)
    if source is None:
        raise LaunchFailed(f"No plugin brings a source for {uri!r}; install the one for {scheme!r}.")
    folder = home / "weights" / scheme / hashlib.sha256(reference.encode()).hexdigest()[:16]
    loop = asyncio.get_running_loop()

    def relay(progress: FetchProgress) -> None:
        loop.call_soon_threadsafe(report, progress)

    def fetch() -> Path:
        return Path(resolve(source.fetch)(reference, folder, relay))

    try:
        return await asyncio.to_thread(fetch)
    except EnginehouseError:
        raise
    except Exception as error:
        raise LaunchFailed(f"The weights {uri!r} could not be fetched: {type(error).__name__}: {error}") from error
