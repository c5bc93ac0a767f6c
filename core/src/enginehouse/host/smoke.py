"""A smoke request: the smallest that a new worker must answer before real ones are sent to it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..sdk import TASKS, LaunchFailed
from .lines import open_line

SMOKE_SECONDS = 120.0  # a first request compiles and warms up; a model that takes longer for one token is not well
ANSWER_BYTES = 16 * 2**20  # a vector of any model is far below
SHOWN_CHARACTERS = 500  # of an answer that is an error

_BODIES: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "hi", "max_tokens": 1},
    "chat": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
    "embed": {"input": "hi"},
    "rerank": {"query": "hi", "documents": ["hi"]},
}


async def try_worker(address: str, model_uid: str, tasks: tuple[str, ...]) -> None:
    """Asks a worker for the first of its tasks that a request without a file can ask for; none: being ready must do.

    Raises LaunchFailed with what it answered.
    """
    task = next((name for name in _BODIES if name in tasks), None)
    if task is None:
        return
    body = msgspec.json.encode({"model": model_uid, **_BODIES[task]})
    try:
        async with asyncio.timeout(SMOKE_SECONDS):
            status, answer = await _post(address, TASKS[task].route, body)
    except TimeoutError:
        raise LaunchFailed(f"The new worker did not answer {TASKS[task].route} in {SMOKE_SECONDS:g} s.") from None
    except (OSError, ValueError) as error:
        raise LaunchFailed(
            f"The new worker broke off at {TASKS[task].route}: {error or type(error).__name__}"
        ) from error
    if status != 200:
        shown = answer[:SHOWN_CHARACTERS].decode(errors="replace")
        raise LaunchFailed(f"The new worker answered {status} to a first request of {TASKS[task].route}: {shown}")


async def _post(address: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body. HTTP/1.0, so that the answer ends with the connection."""
    reader, writer = await open_line(address)
    try:
        head = f"POST {path} HTTP/1.0\r\nhost: worker\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        answer = bytearray()
        while piece := await reader.read(65_536):
            answer += piece
            if len(answer) > ANSWER_BYTES:
                raise ValueError("its answer does not end")
    finally:
        writer.close()
    head_bytes, found, rest = bytes(answer).partition(b"\r\n\r\n")
    if not found:
        raise ValueError("it closed the connection without an answer")
    return int(head_bytes.split(maxsplit=2)[1]), rest
