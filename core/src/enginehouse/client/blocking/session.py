"""Connections to one server, and answers that arrive in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Generic, TypeVar

import httpx

from ..answers import EventDecoder, decode_answer, failure_of
from ..call import Call, Json
from ..calls import cluster, keys
from ..connection import NOT_FOUND, explained, key_headers, request_options, server_address, transport_options
from ..errors import ClientError

T = TypeVar("T")


class Stream(Iterator[T], Generic[T]):
    """The pieces of an answer, as they arrive. `close`, or leaving a `with`, makes the model stop."""

    def __init__(self, response: httpx.Response, pieces: Iterator[T]) -> None:
        self._response = response
        self._pieces = pieces

    def __next__(self) -> T:
        return next(self._pieces)

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._response.close()  # a stream that nobody reads any more would keep the model busy


class EventStream(Stream[Json]):
    """Events of a text that is being written."""


class ByteStream(Stream[bytes]):
    """Bytes of a sound that is being made."""


class Session:
    """Connections to one server. May be used by several threads."""

    def __init__(self, base_url: str | None, api_key: str | None) -> None:
        self.address = server_address(base_url)
        with explained("connect", self.address):
            transport = httpx.HTTPTransport(**transport_options(self.address))
            self._http = httpx.Client(base_url=self.address, transport=transport)
        try:
            self.asks_for_key = self._asks_for_key()
        except BaseException:  # also when interrupted: the connection is given back
            self._http.close()
            raise
        self.use_key(api_key)

    @property
    def key(self) -> str | None:
        """The key that goes with each request."""
        return self._key if self.asks_for_key else None

    def use_key(self, key: str | None) -> None:
        self._key = key
        self._http.headers.update(key_headers(key, self.asks_for_key))

    def log_in(self, username: str, password: str) -> None:
        if self.asks_for_key:
            self.use_key(self.send(keys.login(username, password)))

    def send(self, call: Call[T]) -> T:
        with explained(call.action, self.address):
            response = self._http.send(self._http.build_request(**request_options(call)))
        return decode_answer(call, response.status_code, response.content)

    def infer(self, call: Call[Json]) -> Json | EventStream:
        return self._events(call) if call.streams else self.send(call)

    def speak(self, call: Call[bytes]) -> bytes | ByteStream:
        return self._bytes(call) if call.streams else self.send(call)

    def close(self) -> None:
        self._http.close()

    def _asks_for_key(self) -> bool:
        try:
            return self.send(cluster.ask_auth())
        except ClientError as error:
            if error.status == NOT_FOUND:  # an older server that knows no keys
                return False
            raise

    def _events(self, call: Call[Any]) -> EventStream:
        response = self._begin(call)
        return EventStream(response, _read_events(response, call.action, self.address))

    def _bytes(self, call: Call[Any]) -> ByteStream:
        response = self._begin(call)
        return ByteStream(response, _read_bytes(response, call.action, self.address))

    def _begin(self, call: Call[Any]) -> httpx.Response:
        """The answer when its head has come, the body still on its way."""
        with explained(call.action, self.address):
            response = self._http.send(self._http.build_request(**request_options(call)), stream=True)
            if response.is_success:
                return response
            with closing(response):
                content = response.read()
        raise failure_of(call.action, response.status_code, content)


def _read_bytes(response: httpx.Response, action: str, address: str) -> Iterator[bytes]:
    with explained(action, address):
        yield from response.iter_bytes()


def _read_events(response: httpx.Response, action: str, address: str) -> Iterator[Json]:
    decoder = EventDecoder(action)
    for data in _read_bytes(response, action, address):
        yield from decoder.feed(data)
