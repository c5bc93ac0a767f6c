"""What all translated surfaces share: a route whose request becomes a worker's and goes through the relay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import msgspec
from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..sdk import EnginehouseError, Task
from .arrivals import ClientGone, Heading, read_body, read_heading
from .relay import Out, Relay
from .relay import Request as Relayed
from .surface import Grounds


class Asking(NamedTuple):
    """A surface's request, as a worker is asked it. out: the way its answer takes back."""

    task: Task
    model: str
    body: dict[str, Any]
    out: Out


class Surface(Protocol):
    """One route of another API. Both are given the way to the client and the request's id and length."""

    async def read(self, body: bytes, heading: Heading, send: Send, grounds: Grounds) -> Asking:
        """What a worker is asked. Raises EnginehouseError."""

    def refusing(self, heading: Heading, send: Send) -> Out:
        """The way for an error before anything could be read."""


def respond(surface: Surface, request: Request) -> Response:
    """The response that reads the request's body, asks a worker, and writes its answer."""
    grounds: Grounds = request.app.state.grounds
    relay: Relay = request.app.state.relay

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        heading = read_heading(scope["headers"])
        try:
            body = await read_body(receive, heading.length, grounds.house.settings.body_bytes)
            asking = await surface.read(body, heading, send, grounds)
        except EnginehouseError as error:
            return await surface.refusing(heading, send).refuse(error)
        except ClientGone:
            return
        body = msgspec.json.encode(asking.body)
        await relay.pass_on(Relayed(asking.task, asking.model, heading, body, scope["path"]), receive, asking.out)

    return _Served(serve)


class _Served(Response):
    """For the framework a response; writes itself below it."""

    def __init__(self, serve: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        super().__init__()
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)
