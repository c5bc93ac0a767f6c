"""Routes of registrations: models that users make known, beside those that plugins bring."""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..host.cached import lie_here
from ..host.house import House
from ..host.inspection import inspect_model
from ..sdk import BadRequest, Variant
from . import schemas
from .models import known, read_json
from .permissions import needs
from .registered import describe_in_detail, describe_registration
from .surface import TheGrounds, TheHouse, answer, described_body, errors

router = APIRouter(prefix="/v1", tags=["models"])


@router.post(
    "/model_registrations/{model_type}",
    response_model=None,
    operation_id="register_model",
    summary="Make a model of your own known",
    responses=errors(e400="The registration is wrong (a sentence for each field), or its name is taken."),
    openapi_extra=described_body(schemas.NewRegistration),
)
@needs("admin")
async def register_model(model_type: str, request: Request, grounds: TheGrounds) -> Response:
    """With `persist` it is still known after a restart. `worker_ip` is accepted; there is one machine."""
    body = await read_json(request, grounds)
    if not isinstance(body, dict) or "model" not in body:
        raise BadRequest('The body must be {"model": REGISTRATION, "persist": true or false}.', param="model")
    persist = body.get("persist")
    if persist is not None and not isinstance(persist, bool):
        raise BadRequest(f"persist is {persist!r}; it must be true or false.", param="persist")
    await grounds.house.registrations.register(model_type, body["model"], bool(persist))
    return answer(None)


@router.get(
    "/model_registrations/{model_type}",
    response_model=list[schemas.Registered],
    operation_id="list_registrations",
    summary="List the models of a type that can be launched",
    responses=errors(e400="There is no such model type."),
)
@needs("read")
async def list_registrations(model_type: str, house: TheHouse, detailed: bool = False) -> Response:
    """By name, those of plugins too. With `detailed` whole, and for each variant whether its weights lie here."""
    models = house.registrations.all(model_type)
    if detailed:
        here = partial(_lies_here, house)
        return answer(await asyncio.to_thread(lambda: [describe_in_detail(*model, here) for model in models]))
    return answer([{"model_name": family.name, "is_builtin": document is None} for family, document in models])


@router.get(
    "/model_registrations/{model_type}/{name:text}",
    response_model=schemas.Registered,
    operation_id="get_registration",
    summary="A registration",
    responses=errors(e400="There is no such model, or no such type."),
)
@needs("read")
async def get_registration(model_type: str, name: str, house: TheHouse) -> Response:
    """As it was sent, with its defaults; a plugin's model in the same shape."""
    with known():
        return answer(describe_registration(*house.registrations.find(model_type, name)))


@router.delete(
    "/model_registrations/{model_type}/{name:text}",
    response_model=None,
    operation_id="unregister_model",
    summary="Forget a registration",
    responses=errors(e400="The model comes with a plugin, or there is no such type."),
)
@needs("admin")
async def unregister_model(model_type: str, name: str, house: TheHouse) -> Response:
    """What runs of it runs on. A name that is not known is no error: it is gone."""
    await house.registrations.unregister(model_type, name)
    return answer(None)


@router.post(
    "/models/llm/auto-register",
    response_model=schemas.Drafted,
    operation_id="inspect_model",
    summary="Draft a registration from weights",
    responses=errors(e400="There are no weights, or they are cut off or of no known kind."),
    openapi_extra=described_body(schemas.ToInspect),
)
@needs("admin")
async def inspect(request: Request, grounds: TheGrounds) -> Response:
    """Reads the small files and the headers of the weights at `model_path`: a folder or a GGUF file of the server's
    machine, or a hub's id. The answer is a whole registration; registering it is another call."""
    body = await read_json(request, grounds)
    path, family = (body.get(key) for key in ("model_path", "model_family")) if isinstance(body, dict) else (None, None)
    if not isinstance(path, str) or not path:
        raise BadRequest("Say which weights to look at: `model_path` is missing.", param="model_path")
    if family is not None and not isinstance(family, str):
        raise BadRequest(f"model_family is {family!r}; it must be a name.", param="model_family")
    house = grounds.house
    return answer(await inspect_model(path, family or None, house.catalog, house.settings))


def _lies_here(house: House, variant: Variant) -> bool:
    return lie_here(variant.sources, house.catalog, house.settings.home)
