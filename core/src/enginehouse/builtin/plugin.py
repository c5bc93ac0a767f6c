"""The built-in plugin: model types, the catalogue of families, sources, provisioners, parsers, a cluster, a choice of
engine."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..sdk import (
    Asks,
    ClusterSpec,
    EngineSpec,
    ModelFamily,
    ModelType,
    ParserSpec,
    ProvisionerSpec,
    SourceSpec,
    Variant,
    hookimpl,
)
from .catalogue import read_catalogue
from .model_types import MODEL_TYPES
from .parsers.table import parser_specs

ASKS = Asks(
    network="weights from model hubs, packages for engines' environments",
    subprocesses="workers, downloads, and the makers of environments",
)

logger = logging.getLogger(__name__)


@hookimpl
def enginehouse_model_types() -> Iterable[ModelType]:
    return MODEL_TYPES


@hookimpl
def enginehouse_families() -> Iterable[ModelFamily]:
    """The catalogue. A broken file is told in the log; it must not take the other built-ins with it."""
    catalogue = read_catalogue()
    for fault in catalogue.faults:
        logger.error("family file %s; left out", fault)
    return catalogue.families


@hookimpl
def enginehouse_sources() -> Iterable[SourceSpec]:
    return (
        SourceSpec(
            scheme="file",
            fetch="enginehouse.builtin.sources:fetch_file",
            local=True,
            summary="A folder or file on this machine",
        ),
        SourceSpec(
            scheme="package",
            fetch="enginehouse.builtin.sources:fetch_package",
            local=True,
            summary="Weights carried in an installed Python package: package:import_name/path",
        ),
        SourceSpec(
            scheme="hf",
            fetch="enginehouse.builtin.hub:fetch_hugging_face",
            summary="The Hugging Face hub: hf:org/name[@revision][#pattern,...]",
        ),
        SourceSpec(
            scheme="modelscope",
            fetch="enginehouse.builtin.hub:fetch_model_scope",
            summary="ModelScope: modelscope:org/name[@revision][#pattern,...]",
        ),
    )


@hookimpl
def enginehouse_provisioners() -> Iterable[ProvisionerSpec]:
    return (
        ProvisionerSpec(
            name="system",
            provision="enginehouse.builtin.system_environment:provision",
            quick=True,
            summary="The server's own interpreter and libraries",
        ),
        ProvisionerSpec(
            name="uv",
            resolve="enginehouse.builtin.uv_environment:resolve",
            build="enginehouse.builtin.uv_environment:build",
            summary="An environment of its own: locked, sealed, shared by all that need the same",
        ),
        ProvisionerSpec(
            name="path",
            provision="enginehouse.builtin.path_environment:provision",
            summary="An interpreter that the launch names, with the libraries that lie there",
        ),
    )


@hookimpl
def enginehouse_parsers() -> Iterable[ParserSpec]:
    return parser_specs()


@hookimpl
def enginehouse_clusters() -> Iterable[ClusterSpec]:
    return (
        ClusterSpec(
            name="local",
            cluster="enginehouse.builtin.local_cluster:LocalCluster",
            summary="The server's own machine",
        ),
    )


@hookimpl(trylast=True)
def enginehouse_choose_engine(
    family: ModelFamily, variant: Variant, candidates: tuple[EngineSpec, ...]
) -> EngineSpec | None:
    """The highest rank; among equals the first by name, so that the choice does not depend on load order."""
    return min(candidates, key=lambda spec: (-spec.rank, spec.name.lower()))
