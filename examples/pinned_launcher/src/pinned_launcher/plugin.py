"""The light half: the launcher by name, and what its models' environment must carry."""

from __future__ import annotations

from enginehouse.sdk import Asks, LauncherSpec, hookimpl

ASKS = Asks()


@hookimpl
def enginehouse_launchers() -> tuple[LauncherSpec, ...]:
    return (
        LauncherSpec(
            name="stemmer",
            launcher="pinned_launcher.stemmer:launcher",
            requirements=("snowballstemmer==2.2.0",),
            summary="Stems of words, by a version that stays",
        ),
    )
