"""A recorder: stands before a real worker, or a whole server, passes everything on and keeps it as a cassette.

with Recorder(worker.order.socket, Path("answers.jsonl"), model="stoker") as recorder:
    httpx.post(f"{recorder.url}/v1/completions", json={"model": "stoker", "prompt": "hi"})
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from .asgi import Receive, Send, begin, body_of, server_of, write
from .cassettes import Exchange, Header, plain_text, without_secrets
from .waiting import free_port, wait_for

START_SECONDS = 20.0
ANSWER_SECONDS = 600.0  # of an answer while it is recorded: as long as anybody would wait


class Recorder:
    """Listens on a free port of the loopback interface. target: the path of a worker's socket, or a URL."""

    def __init__(self, target: str, file: Path, model: str) -> None:
        self._file, self._model = file, model
        self._socket = None if target.startswith("http") else target
        self._base = target if self._socket is None else "http://worker"
        self._port = free_port()
        self._server = server_of(self._serve, host="127.0.0.1", port=self._port)
        self._thread = threading.Thread(target=self._server.run, name="recorder", daemon=True)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Recorder:
        header = Header(model=self._model, recorded_at=datetime.now(UTC).isoformat(timespec="seconds"))
        self._file.write_bytes(msgspec.json.encode(header) + b"\n")
        self._thread.start()
        wait_for(lambda: self._server.started, START_SECONDS, "the recorder's start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)

    async def _serve(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        begun = time.monotonic()
        chunks: list[tuple[float, str]] = []
        transport = httpx.AsyncHTTPTransport(uds=self._socket)
        async with httpx.AsyncClient(transport=transport, base_url=self._base, timeout=ANSWER_SECONDS) as client:
            headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _PASSED}
            query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
            request = client.stream(scope["method"], scope["path"] + query, content=body, headers=headers)
            async with request as answer:
                content_type = answer.headers.get("content-type", "")
                await begin(send, answer.status_code, content_type)
                async for part in answer.aiter_text():
                    chunks.append((round(time.monotonic() - begun, 4), plain_text(part)))
                    await write(send, part.encode())
                await write(send, b"", more=False)
        self._keep(
            Exchange(
                method=scope["method"],
                path=scope["path"] + query,
                body=without_secrets(_json(body)),
                status=answer.status_code,
                content_type=content_type,
                chunks=tuple(chunks),
            )
        )

    def _keep(self, exchange: Exchange) -> None:
        with self._lock, self._file.open("ab") as file:
            file.write(msgspec.json.encode(exchange) + b"\n")


_PASSED = (b"content-type", b"accept", b"authorization", b"x-api-key")


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return body.decode(errors="replace")
