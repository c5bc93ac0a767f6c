"""Every error in one shape: OpenAI's `error` object and Xinference's `detail`, whatever went wrong.

Anthropic's routes have its shape instead."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Send

from ..sdk import BadRequest, Cancelled, EnginehouseError, ModelNotFound
from ..sdk.errors import headers_of, to_wire
from .anthropic_errors import restate, speaks_anthropic
from .arrivals import ClientGone
from .permissions import all_routes


class UnknownModel(ModelNotFound):
    """As ModelNotFound, with the status that clients of the administrative routes know."""

    status = 400


async def send_error(send: Send, error: EnginehouseError, request_id: bytes, path: str = "") -> None:
    """An error answer, below any framework. path: of the request, where it may be one with a shape of its own."""
    wire: dict[str, Any] = to_wire(error)
    if speaks_anthropic(path):
        wire, _ = restate(error.status, wire, request_id.decode("latin-1"))
    body = msgspec.json.encode(wire)
    headers = [
        *([(b"request-id", request_id)] if speaks_anthropic(path) else ()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id),
        *((name.lower().encode(), value.encode()) for name, value in headers_of(error).items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def handle_errors(app: FastAPI) -> None:
    """Makes every error of the framework's routes answer in the one shape."""
    app.add_exception_handler(EnginehouseError, _ours)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(Exception, _unforeseen)


def _answer(request: Request, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    if speaks_anthropic(request.url.path):
        body, more = restate(status, body)
        headers = {**(headers or {}), **more}
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, EnginehouseError)
    return _answer(request, error.status, to_wire(error), headers_of(error))


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads this; it keeps a client that leaves in the middle of its body out of the log of faults."""
    return Response(status_code=Cancelled.status)


async def _routing(request: Request, error: Exception) -> Response:
    """404 and 405 of the router itself."""
    assert isinstance(error, HTTPException)
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    message = f"{request.method} {request.url.path}: {error.detail}. The routes are listed at /docs."
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    inner = {"message": message, "type": kind, "param": None, "code": code}
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return _answer(request, error.status_code, {"error": inner, "detail": message}, headers)


def _methods_of(request: Request) -> set[str]:
    """Those of every route with this path; the router itself knows the first one's only."""
    routes = all_routes(request.app.routes)
    return {
        method
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


async def _validation(request: Request, error: Exception) -> Response:
    """422: the query or path is not what the route declares."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    wire = to_wire(BadRequest(f"{where}: {first['msg']} (it was {first.get('input')!r}).", param=str(first["loc"][-1])))
    return _answer(request, 422, wire)


async def _unforeseen(request: Request, error: Exception) -> Response:
    """500: a fault of ours. The traceback goes to the server's log, not to the caller."""
    fault = EnginehouseError(
        f"{request.method} {request.url.path} failed: {type(error).__name__}. See the server's log."
    )
    return _answer(request, 500, to_wire(fault))
