"""The hooks that a plugin may implement.

Each function below is empty: it says when the host calls the hook and what it expects back. An
implementation has the same name, is decorated with `hookimpl`, and lives in the plugin's light module,
which imports `enginehouse.sdk` only. Hooks are synchronous and quick, and never on the path of a token.

Nouns are collected from every plugin; a decision takes the first answer that is not None.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .clusters import ClusterSpec
    from .engines import EngineSpec
    from .families import ModelFamily, Variant
    from .launchers import LauncherSpec
    from .model_types import ModelType
    from .parsers import ParserSpec
    from .provisioners import ProvisionerSpec, Requirements
    from .sources import SourceSpec

PROJECT = "enginehouse"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def enginehouse_model_types() -> Iterable[ModelType]:
    """Kinds of model this plugin brings (LLM, embedding, ...). Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_families() -> Iterable[ModelFamily]:
    """Models this plugin knows: data only, never naming an engine. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_engines() -> Iterable[EngineSpec]:
    """Engines this plugin brings, their heavy class named by string. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_launchers() -> Iterable[LauncherSpec]:
    """Builders of models that no engine knows, named by string. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_sources() -> Iterable[SourceSpec]:
    """Places weights can come from, each with its URI scheme. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_provisioners() -> Iterable[ProvisionerSpec]:
    """Ways to make a worker's environment. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_parsers() -> Iterable[ParserSpec]:
    """Tool-call and reasoning parsers, named by string. Called once, when the server starts."""
    return ()


@hookspec
def enginehouse_clusters() -> Iterable[ClusterSpec]:
    """Places where workers can run, their class named by string. Called once, when the server starts."""
    return ()


@hookspec(firstresult=True)
def enginehouse_choose_engine(
    family: ModelFamily, variant: Variant, candidates: tuple[EngineSpec, ...]
) -> EngineSpec | None:
    """Which of the engines that can run `variant` shall run it, when the caller named none.

    Called while planning; `candidates` is never empty. None leaves the choice to the next plugin.
    """


@hookspec
def enginehouse_requirements(engine: EngineSpec, variant: Variant, device: str) -> Requirements | None:
    """What `engine` needs to run `variant` on `device` ("cpu", "cuda", "mps"), beside what its spec says.

    Called while planning, of every plugin, for every engine that could run the variant: a plugin answers for its own
    and gives None for the others.
    """
