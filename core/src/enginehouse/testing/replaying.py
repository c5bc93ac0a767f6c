"""`python -m enginehouse.testing.replaying CASSETTE SOCKET MODEL [SPEED]`: a worker that answers as a cassette says.

The same request gets the answers that were recorded for it, one after the other, and the last of them ever after.
SPEED 1 keeps the pauses between chunks, 2 halves them, 0 leaves them out.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from ..sdk import BadRequest, EnginehouseError, Health
from ..sdk.errors import to_wire
from .asgi import Receive, Send, begin, body_of, leave_on_sigterm, server_of, write
from .cassettes import Cassette, CassetteError, Exchange, key_of, read_cassette

JSON = "application/json"


class Player:
    """An ASGI application. model: the uid that answers name in place of the recorded one."""

    def __init__(self, cassette: Cassette, model: str, speed: float = 1.0) -> None:
        self._names = (f'"model":"{cassette.header.model}"', f'"model":"{model}"')
        self._speed = speed
        self._known: dict[str, list[Exchange]] = defaultdict(list)
        for exchange in cassette.exchanges:
            self._known[exchange.key].append(exchange)
        self._in_flight = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        if (scope["method"], scope["path"]) == ("GET", "/health"):
            health = Health(state="ready", progress=1.0, stage="ready", in_flight=self._in_flight)
            return await _answer(send, 200, msgspec.json.encode(health))
        self._in_flight += 1
        try:
            await self._play(self._find(scope, body), send)
        except EnginehouseError as error:
            await _answer(send, error.status, msgspec.json.encode(to_wire(error)))
        finally:
            self._in_flight -= 1

    def _find(self, scope: Any, body: bytes) -> Exchange:
        """Raises BadRequest for what was not recorded."""
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        try:
            asked = msgspec.json.decode(body) if body else None
        except msgspec.DecodeError as error:
            raise BadRequest(f"The body is malformed JSON: {error}. Send a JSON object.") from error
        found = self._known.get(key_of(scope["method"], scope["path"] + query, asked))
        if not found:
            raise BadRequest(
                f"The cassette holds no answer to {scope['method']} {scope['path']} with this body; it holds "
                f"{len(self._known)} others. Record it, or ask what was recorded."
            )
        return found.pop(0) if len(found) > 1 else found[0]

    async def _play(self, exchange: Exchange, send: Send) -> None:
        await begin(send, exchange.status, exchange.content_type)
        begun = time.monotonic()
        for seconds, text in exchange.chunks:
            if self._speed:
                await asyncio.sleep(max(0.0, begun + seconds / self._speed - time.monotonic()))
            await write(send, text.replace(*self._names).encode())
        await write(send, b"", more=False)


async def _answer(send: Send, status: int, body: bytes) -> None:
    await begin(send, status, JSON)
    await write(send, body, more=False)


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 after SIGTERM, 1 when the cassette cannot be read, 2 for a wrong call."""
    if len(arguments) not in (3, 4):
        sys.stderr.write(__doc__ or "")
        return 2
    file, socket, model, *speed = arguments
    try:
        player = Player(read_cassette(Path(file)), model, float(speed[0]) if speed else 1.0)
    except CassetteError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    server = server_of(player, uds=socket)
    leave_on_sigterm(server)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
