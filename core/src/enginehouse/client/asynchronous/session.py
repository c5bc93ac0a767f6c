"""Connections to one server, and answers that arrive in pieces, for asyncio programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

import httpx

from ..answers import EventDecoder, decode_answer, failure_of
from ..call import Call, Json
from ..calls import cluster, keys
from ..connection import NOT_FOUND, explained, key_headers, request_options, server_address, transport_options
from ..errors import ClientError

T = TypeVar("T")

_closing: set[asyncio.Task[None]] = set()  # a loop itself holds its tasks weakly


class AsyncStream(AsyncIterator[T], Generic[T]):
    """The pieces of an answer, as they arrive. `aclose`, or leaving an `async with`, makes the model stop."""

    def __init__(self, response: httpx.Response, pieces: AsyncGenerator[T, None]) -> None:
        self._response = response
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()

    async def __anext__(self) -> T:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        await self._pieces.aclose()
        await self._response.aclose()

    async def __aenter__(self) -> AsyncStream[T]:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        """A stream that nobody reads any more would keep the model busy. Called in any thread."""
        if not self._response.is_closed:
            with suppress(RuntimeError):  # the loop has ended, and its connections with it
                self._loop.call_soon_threadsafe(_close, self._loop, self._response)


def _close(loop: asyncio.AbstractEventLoop, response: httpx.Response) -> None:
    task = loop.create_task(response.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


class AsyncEventStream(AsyncStream[Json]):
    """Events of a text that is being written."""


class AsyncByteStream(AsyncStream[bytes]):
    """Bytes of a sound that is being made."""


class AsyncSession:
    """Connections to one server, for one event loop. asks_for_key: None until it was asked."""

    def __init__(self, base_url: str | None, api_key: str | None) -> None:
        self.address = server_address(base_url)
        self.asks_for_key: bool | None = None
        with explained("connect", self.address):
            transport = httpx.AsyncHTTPTransport(**transport_options(self.address))
            self._http = httpx.AsyncClient(base_url=self.address, transport=transport)
        self.use_key(api_key)

    @property
    def key(self) -> str | None:
        """The key that goes with each request, as far as is known."""
        return None if self.asks_for_key is False else self._key

    def use_key(self, key: str | None) -> None:
        self._key = key
        self._http.headers.update(key_headers(key, bool(self.asks_for_key)))

    async def prepare(self) -> None:
        """Asks whether a key is wanted, before the first call. Asking twice at once does no harm."""
        if self.asks_for_key is None:
            self.asks_for_key = await self._asks_for_key()
            self.use_key(self._key)

    async def log_in(self, username: str, password: str) -> None:
        await self.prepare()
        if self.asks_for_key:
            self.use_key(await self._send(keys.login(username, password)))

    async def send(self, call: Call[T]) -> T:
        await self.prepare()
        return await self._send(call)

    async def infer(self, call: Call[Json]) -> Json | AsyncEventStream:
        return await self._events(call) if call.streams else await self.send(call)

    async def speak(self, call: Call[bytes]) -> bytes | AsyncByteStream:
        return await self._bytes(call) if call.streams else await self.send(call)

    async def close(self) -> None:
        await self._http.aclose()

    async def _asks_for_key(self) -> bool:
        try:
            return await self._send(cluster.ask_auth())
        except ClientError as error:
            if error.status == NOT_FOUND:  # an older server that knows no keys
                return False
            raise

    async def _send(self, call: Call[T]) -> T:
        with explained(call.action, self.address):
            response = await self._http.send(self._http.build_request(**request_options(call)))
        return decode_answer(call, response.status_code, response.content)

    async def _events(self, call: Call[Any]) -> AsyncEventStream:
        response = await self._begin(call)
        return AsyncEventStream(response, _read_events(response, call.action, self.address))

    async def _bytes(self, call: Call[Any]) -> AsyncByteStream:
        response = await self._begin(call)
        return AsyncByteStream(response, _read_bytes(response, call.action, self.address))

    async def _begin(self, call: Call[Any]) -> httpx.Response:
        """The answer when its head has come, the body still on its way."""
        await self.prepare()
        with explained(call.action, self.address):
            response = await self._http.send(self._http.build_request(**request_options(call)), stream=True)
            if response.is_success:
                return response
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        raise failure_of(call.action, response.status_code, content)


async def _read_bytes(response: httpx.Response, action: str, address: str) -> AsyncGenerator[bytes, None]:
    with explained(action, address):
        async for data in response.aiter_bytes():
            yield data


async def _read_events(response: httpx.Response, action: str, address: str) -> AsyncGenerator[Json, None]:
    decoder = EventDecoder(action)
    with explained(action, address):
        async for data in response.aiter_bytes():
            for event in decoder.feed(data):
                yield event
