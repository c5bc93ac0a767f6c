"""The few lines of ASGI that the recorder and the player share."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]
STOP_SECONDS = 2  # requests that run get so long to end


class QuietServer(uvicorn.Server):
    """Leaves on SIGTERM with status 0, where it runs in the main thread; else only when `should_exit` is set."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of(app: App, **place: Any) -> QuietServer:
    """place: `uds`, or `host` and `port`."""
    return QuietServer(
        uvicorn.Config(
            app,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=STOP_SECONDS,
            **place,
        )
    )


def leave_on_sigterm(server: QuietServer) -> None:
    """Only in the main thread."""

    def leave(number: int, frame: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


async def body_of(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


async def begin(send: Send, status: int, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def write(send: Send, data: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})
