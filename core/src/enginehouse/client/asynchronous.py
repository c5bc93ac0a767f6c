"""The client for asyncio programs: the blocking client's methods as coroutines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from . import calls, declaration_calls, key_calls
from .answers import EventDecoder, decode_answer, failure_of
from .calls import Call, Json
from .connection import (
    NOT_FOUND,
    client_key,
    dress,
    explained,
    handle_kind,
    key_headers,
    request_options,
    server_address,
    transport_options,
)
from .errors import ClientError

P = ParamSpec("P")
T = TypeVar("T")


class AsyncEventStream(AsyncIterator[Json]):
    """The events of an answer, as they arrive. `aclose`, or leaving an `async with`, makes the model stop."""

    def __init__(self, response: httpx.Response, action: str, address: str) -> None:
        self._response = response
        self._events = _read_events(response, action, address)

    async def __anext__(self) -> Json:
        return await anext(self._events)

    async def aclose(self) -> None:
        await self._events.aclose()
        await self._response.aclose()

    async def __aenter__(self) -> AsyncEventStream:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.aclose()


async def _read_events(response: httpx.Response, action: str, address: str) -> AsyncGenerator[Json, None]:
    decoder = EventDecoder(action)
    with explained(action, address):
        async for data in response.aiter_bytes():
            for event in decoder.feed(data):
                yield event


class AsyncSession:
    """Connections to one server, for one event loop."""

    def __init__(self, base_url: str | None, api_key: str | None) -> None:
        self.address = server_address(base_url)
        self._api_key = api_key
        self._knows_auth = False
        self.asks_for_key = False
        with explained("connect", self.address):
            transport = httpx.AsyncHTTPTransport(**transport_options(self.address))
            self._http = httpx.AsyncClient(base_url=self.address, transport=transport)

    async def prepare(self) -> None:
        """Asks whether a key is wanted, before the first call. Asking twice at once does no harm."""
        if self._knows_auth:
            return
        self.asks_for_key = await self._asks_for_key()
        self._http.headers.update(key_headers(self._api_key, self.asks_for_key))
        self._knows_auth = True

    async def log_in(self, username: str, password: str) -> None:
        await self.prepare()
        if self.asks_for_key:
            token = await self._send(key_calls.login(username, password))
            self._http.headers.update(key_headers(token, True))

    async def _asks_for_key(self) -> bool:
        try:
            return await self._send(calls.ask_auth())
        except ClientError as error:
            if error.status == NOT_FOUND:  # an older server that knows no keys
                return False
            raise

    async def _send(self, call: Call[T]) -> T:
        with explained(call.action, self.address):
            response = await self._http.send(self._http.build_request(**request_options(call)))
        return decode_answer(call, response.status_code, response.content)

    async def send(self, call: Call[T]) -> T:
        await self.prepare()
        return await self._send(call)

    async def stream(self, call: Call[Any]) -> AsyncEventStream:
        await self.prepare()
        with explained(call.action, self.address):
            response = await self._http.send(self._http.build_request(**request_options(call)), stream=True)
            if response.is_success:
                return AsyncEventStream(response, call.action, self.address)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        raise failure_of(call.action, response.status_code, content)

    async def infer(self, call: Call[Json]) -> Json | AsyncEventStream:
        if call.streams:
            return await self.stream(call)
        return await self.send(call)

    async def close(self) -> None:
        await self._http.aclose()


def _method(make: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._session.send(make(*args, **kwargs))

    dress(method, make)
    return method


class AsyncGenerateModelHandle:
    """A running model that continues texts. Its connections belong to its client."""

    def __init__(self, model_uid: str, session: AsyncSession) -> None:
        self.model_uid = model_uid
        self._session = session

    async def generate(self, prompt: Any, generate_config: Json | None = None) -> Json | AsyncEventStream:
        """A completion, or its events when generate_config has `stream`."""
        return await self._session.infer(calls.generate(self.model_uid, prompt, generate_config))

    async def close(self) -> None:
        """Nothing to give back; here because programs written for Xinference call it."""


class AsyncChatModelHandle(AsyncGenerateModelHandle):
    """A running model that chats (and continues texts)."""

    async def chat(
        self,
        messages: list[Json],
        tools: list[Json] | None = None,
        enable_thinking: bool | None = None,
        generate_config: Json | None = None,
    ) -> Json | AsyncEventStream:
        """A chat completion, or its events when generate_config has `stream`."""
        return await self._session.infer(calls.chat(self.model_uid, messages, tools, enable_thinking, generate_config))


class AsyncClient:
    """A server, seen from an asyncio program. Every failure is a ClientError (a RuntimeError).

    Parameters as `Client`'s. The constructor does not wait: whether the server asks for a key is found out
    with the first call (or on entering `async with`), for blocking there would stop the caller's event loop.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self._session = AsyncSession(base_url, client_key(api_key))

    @property
    def base_url(self) -> str:
        return self._session.address

    list_models = _method(calls.list_models)
    describe_model = _method(calls.describe_model)
    launch_model = _method(calls.launch_model)
    plan_model = _method(calls.plan_model)
    terminate_model = _method(calls.terminate_model)
    add_model_replica = _method(calls.add_model_replica)
    terminate_model_replica = _method(calls.terminate_model_replica)
    list_model_replicas = _method(calls.list_model_replicas)
    get_launch_model_progress = _method(calls.get_launch_model_progress)
    cancel_launch_model = _method(calls.cancel_launch_model)
    abort_request = _method(calls.abort_request)
    get_instance_info = _method(calls.get_instance_info)
    list_plugins = _method(calls.list_plugins)
    list_declarations = _method(declaration_calls.list_declarations)
    create_key = _method(key_calls.create_key)
    list_keys = _method(key_calls.list_keys)
    revoke_key = _method(key_calls.revoke_key)
    list_cached_models = _method(calls.list_cached_models)
    list_deletable_models = _method(calls.list_deletable_models)
    confirm_and_remove_model = _method(calls.confirm_and_remove_model)
    list_engines = _method(calls.list_engines)
    query_engine_by_model_name = _method(calls.query_engine_by_model_name)
    inspect_model = _method(calls.inspect_model)
    register_model = _method(calls.register_model)
    unregister_model = _method(calls.unregister_model)
    list_model_registrations = _method(calls.list_model_registrations)
    get_model_registration = _method(calls.get_model_registration)

    async def get_model(self, model_uid: str) -> AsyncGenerateModelHandle:
        """A handle of a running model: AsyncChatModelHandle when it can chat. Raises ValueError when none suits."""
        kind = handle_kind(model_uid, await self.describe_model(model_uid))
        return {"chat": AsyncChatModelHandle, "generate": AsyncGenerateModelHandle}[kind](model_uid, self._session)

    async def login(self, username: str, password: str) -> None:
        """For programs written for Xinference: the password is a key, the name anything."""
        await self._session.log_in(username, password)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> AsyncClient:
        await self._session.prepare()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()
