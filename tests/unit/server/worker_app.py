"""A worker that does what the body asks for; run as `python worker_app.py SOCKET`."""

import asyncio
import json
import os
import sys
from typing import Any

import uvicorn

seen: dict[str, Any] = {"asked": 0, "left": 0, "sent": 0}
step = asyncio.Event()
PIECE = b"x" * 65536


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["method"] == "GET":
        if scope["path"] == "/step":
            step.set()
        return await answer(send, seen)
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    wish = json.loads(body)
    seen["asked"] += 1
    seen["headers"] = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    await DEEDS[wish.get("do", "echo")](scope, wish, body, receive, send)


async def answer(send: Any, value: Any, status: int = 200, **headers: str) -> None:
    await begin(send, "application/json", status, **headers)
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def begin(send: Any, kind: str, status: int = 200, **headers: str) -> None:
    named = {"content-type": kind, "x-hidden": "from the worker", **headers}
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})


async def more(send: Any, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def echo(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    await answer(send, {"path": scope["path"], "body": body.decode(), "pid": os.getpid()})


async def refuse(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    await answer(send, {"error": {"message": "full"}, "detail": "full"}, 429, retry_after="7")


async def events(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    """`n` events, each only after somebody asked for the next one with GET /step, when `steps`."""
    await begin(send, "text/event-stream")
    for number in range(wish["n"]):
        await more(send, b"data: %d\n\n" % number)
        if wish.get("steps"):
            await step.wait()
            step.clear()
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def parts(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    """A stream whose bytes are written in these parts."""
    await begin(send, "text/event-stream")
    for part in wish["parts"]:
        await more(send, part.encode())
        await asyncio.sleep(0.01)  # so that they are likely to travel one by one
    await send({"type": "http.response.body", "body": b""})


async def flood(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    await begin(send, "application/octet-stream")
    seen["sent"] = 0
    for _ in range(wish["n"]):
        await more(send, PIECE)
        seen["sent"] += len(PIECE)
    await send({"type": "http.response.body", "body": b""})


async def stall(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    if wish.get("stream"):
        await begin(send, "text/event-stream")
        await more(send, b"data: 0\n\n")
    while (await receive())["type"] != "http.disconnect":
        pass
    seen["left"] += 1


async def die(scope: Any, wish: Any, body: bytes, receive: Any, send: Any) -> None:
    """At once, or after part of an answer of the kind `after`; `tail` is the last of a stream."""
    if wish.get("after") == "events":
        await begin(send, "text/event-stream")
        await more(send, b"data: 0\n\n" + wish.get("tail", "").encode())
    if wish.get("after") == "body":
        await begin(send, "application/json", content_length="100")
        await more(send, b'{"half": ')
    await asyncio.sleep(0.02)  # what was written leaves the process before it ends
    os._exit(1)


DEEDS = {"echo": echo, "refuse": refuse, "events": events, "parts": parts, "flood": flood, "stall": stall, "die": die}

if __name__ == "__main__":
    uvicorn.run(app, uds=sys.argv[1], log_level="warning", access_log=False, lifespan="off", http="httptools")
