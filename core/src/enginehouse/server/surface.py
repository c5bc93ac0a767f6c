"""What the administrative routes share: the house behind them, and answers written by msgspec."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from ..host.house import House
from ..host.machine_load import LoadWatch
from .meters import Meters
from .paths import register_parts
from .schemas import Error

register_parts()  # every module of routes imports this one first


class Grounds(msgspec.Struct, frozen=True):
    """What a route may need. stopping: set when the server begins to leave; whoever waits then stops waiting."""

    house: House
    meters: Meters
    stopping: asyncio.Event
    load: LoadWatch
    started: float = msgspec.field(default_factory=time.time)


async def _house(request: Request) -> House:
    house: House = request.app.state.grounds.house
    return house


async def _grounds(request: Request) -> Grounds:
    grounds: Grounds = request.app.state.grounds
    return grounds


TheHouse = Annotated[House, Depends(_house)]
TheGrounds = Annotated[Grounds, Depends(_grounds)]

Responses = dict[int | str, dict[str, Any]]


def errors(**meanings: str) -> Responses:
    """Documents a route's errors: `errors(e400="...", e503="...")`."""
    return {int(name[1:]): {"model": Error, "description": text} for name, text in meanings.items()}


def described_body(model: type[BaseModel]) -> dict[str, Any]:
    """Documents the JSON body of a route that reads it itself, as its `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


def body_of(struct: type[msgspec.Struct], required: bool = True) -> dict[str, Any]:
    """The same for a body that is a struct without structs in it."""
    schema = msgspec.json.schema_components([struct])[1][struct.__name__]
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
