"""A server process that implements the wire by the book: a test writes the answers, and reads what was asked.

Run as a program it prints its port. Answers are given by "METHOD path", one after the other, the last for ever:
{"status", "json"} or {"status", "text"} or {"pieces": [...], "then": "end" | "hold" | "break"} for a stream. Of what
was asked, "json" is the body, and "form" the parts of a multipart one: [name, file name, type, content].
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

START_SECONDS = 20.0  # a new interpreter on a busy machine
EVENT_SECONDS = 10.0  # for something that happens within milliseconds
NO_AUTH = {"GET /v1/cluster/auth": [{"json": {"auth": False}}]}

script: dict[str, list[dict[str, Any]]] = dict(NO_AUTH)
requests: list[dict[str, Any]] = []
gone: list[str] = []


async def answer(request: Request) -> Response:
    key = f"{request.method} {request.url.path}"
    raw = await request.body()
    requests.append(
        {
            "key": key,
            "raw_path": request.scope["raw_path"].decode(),
            "query": dict(request.query_params),
            "headers": dict(request.headers),
            **read_body(request.headers.get("content-type", ""), raw),
        }
    )
    answers = script.get(key)
    if not answers:
        return JSONResponse({"detail": f"nothing at {key}"}, 404)
    step = answers.pop(0) if len(answers) > 1 else answers[0]
    if "pieces" in step:
        return StreamingResponse(stream(key, step), media_type="text/event-stream")
    if "text" in step:
        return PlainTextResponse(step["text"], step.get("status", 200))
    return JSONResponse(step["json"], step.get("status", 200))


def read_body(content_type: str, raw: bytes) -> dict[str, Any]:
    if not content_type.startswith("multipart/"):
        return {"json": json.loads(raw) if raw else None, "form": None}
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    return {"json": None, "form": [read_part(part) for part in message.iter_parts()]}


def read_part(part: Any) -> list[str | None]:
    """A field of text has no file name, and whether its sender names a type says nothing."""
    filename = part.get_filename()
    content = part.get_payload(decode=True).decode("latin-1")
    name = part["Content-Disposition"].params["name"]
    return [name, filename, part.get_content_type() if filename else None, content]


async def stream(key: str, step: dict[str, Any]) -> AsyncIterator[str]:
    for piece in step["pieces"]:
        yield piece
    if step.get("then") == "break":
        raise RuntimeError("the stream breaks, as the test asked")
    if step.get("then") == "hold":
        try:
            await asyncio.sleep(2 * EVENT_SECONDS)
        except asyncio.CancelledError:  # the client has gone, before we would have
            gone.append(key)
            raise


async def control(request: Request) -> Response:
    if request.method == "PUT":
        script.clear()
        script.update(NO_AUTH | await request.json())
        requests.clear()
        gone.clear()
    return JSONResponse({"requests": requests, "gone": gone})


METHODS = ["GET", "POST", "DELETE"]
app = Starlette(
    routes=[
        Route("/_control", control, methods=["GET", "PUT"]),
        Route("/{path:path}", answer, methods=METHODS),
    ]
)


def serve() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="critical")).run([listener])


class ScriptedServer:
    """The test's side of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False)

    def play(self, answers: dict[str, Any]) -> None:
        """Answers by "METHOD path": a list of steps, or the JSON of a single one. Forgets what was before."""
        steps = {key: given if _is_steps(given) else [{"json": given}] for key, given in answers.items()}
        self._http.put("/_control", json=steps).raise_for_status()

    def asked(self, key: str = "") -> list[dict[str, Any]]:
        """Requests so far whose "METHOD path" begins with `key`, the question about keys left out."""
        found = self._http.get("/_control").json()["requests"]
        return [item for item in found if item["key"].startswith(key) and not item["key"].endswith("/cluster/auth")]

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """What `condition` gives once that is true. Fails after a while."""
        until = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < until:
            if result := condition():
                return result
            time.sleep(0.01)
        raise AssertionError(f"{condition} did not become true within {EVENT_SECONDS} s")

    def left(self) -> list[str]:
        """Streams on hold whose client has gone."""
        found: list[str] = self._http.get("/_control").json()["gone"]
        return found

    def close(self) -> None:
        self._http.close()


def _is_steps(given: Any) -> bool:
    return (
        isinstance(given, list)
        and bool(given)
        and isinstance(given[0], dict)
        and {"json", "text", "pieces"} & set(given[0]) != set()
    )


@contextmanager
def running() -> Iterator[ScriptedServer]:
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        server = ScriptedServer(f"http://127.0.0.1:{int(process.stdout.readline())}")
        _await_start(server)
        yield server
        server.close()
    finally:
        process.kill()
        process.wait()


def _await_start(server: ScriptedServer) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            return server.play({})
        except httpx.TransportError:
            if time.monotonic() > until:
                raise


if __name__ == "__main__":
    serve()
