"""Routes about the server itself: is it there, is it ready, what is it made of."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from ..host.routing import RETRY_AFTER_SECONDS
from ..sdk import NotReady
from . import describe, schemas
from .callers import visible
from .deployment_meters import deployment_metrics, memory_metric
from .meters import Meters
from .permissions import needs
from .surface import TheGrounds, TheHouse, answer, errors
from .worker_metrics import read_pages, ready_workers, render

VERSION = version("enginehouse-core")
router = APIRouter(tags=["server"])


@router.get("/", response_model=schemas.Welcome, operation_id="welcome", summary="What this is")
@needs("public")
async def welcome() -> Response:
    links = {"models": "/v1/models", "docs": "/docs", "openapi": "/openapi.json", "metrics": "/metrics"}
    return answer({"name": "enginehouse", "version": VERSION, "links": links})


@router.get("/health", response_model=schemas.Alive, operation_id="health", summary="Whether the server lives")
@needs("public")
async def health() -> Response:
    return answer({"status": "ok"})


@router.get(
    "/ready",
    response_model=schemas.Alive,
    operation_id="ready",
    summary="Whether every declared model answers",
    responses=errors(e503="Some models do not; the message names them."),
)
@needs("public")
async def ready(house: TheHouse) -> Response:
    """Also ready when nothing is declared. A model that failed for good counts: somebody has to look."""
    waiting = [view for view in house.deployments.views() if not describe.answers_now(view)]
    if waiting:
        seen = {view.model_uid for view in visible(house)}
        named = [f"{view.model_uid} ({view.status.lower()})" for view in waiting if view.model_uid in seen]
        others = [f"{len(waiting) - len(named)} that you need a key to see"] if len(named) < len(waiting) else []
        raise NotReady(f"These models do not answer: {', '.join([*named, *others])}.", retry_after=RETRY_AFTER_SECONDS)
    return answer({"status": "ok"})


@router.get("/v1/cluster/auth", response_model=schemas.Auth, operation_id="get_auth", summary="Whether keys are asked")
@needs("public")
async def get_auth(house: TheHouse) -> Response:
    """The first thing that Xinference's clients ask."""
    return answer({"auth": house.keys.required})


@router.get("/v1/cluster/version", response_model=schemas.Version, operation_id="get_version", summary="The version")
@needs("public")
async def get_version() -> Response:
    return answer({"version": VERSION, "full-revisionid": VERSION})


@router.get("/metrics", operation_id="metrics", summary="Metrics in Prometheus' text format", response_class=Response)
@needs("read")
async def metrics(grounds: TheGrounds) -> Response:
    """Of the server, and of every ready worker, those with the labels `model` and `replica`.

    A worker that does not answer within a second is left out: `enginehouse_worker_up` is 0 for it.
    """
    deployments = grounds.house.deployments
    observed = deployments.observed()
    own = [*_registry(grounds.meters).collect(), *deployment_metrics(observed, deployments.load_counts)]
    pages, memory = await asyncio.gather(
        read_pages(ready_workers(each.view for each in observed)), memory_metric(observed)
    )
    own.append(memory)
    text = await asyncio.to_thread(render, own, pages)  # many workers' pages are more than a moment's work
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


def _registry(meters: Meters) -> CollectorRegistry:
    """Of this server alone: the library's own is shared by all that is imported into the process."""
    registry = CollectorRegistry()
    registry.register(meters)
    ProcessCollector(registry=registry)
    return registry
