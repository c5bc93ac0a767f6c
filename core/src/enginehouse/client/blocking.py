"""The client for ordinary programs: each call returns when its answer is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
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


class EventStream(Iterator[Json]):
    """The events of an answer, as they arrive. `close`, or leaving a `with`, makes the model stop."""

    def __init__(self, response: httpx.Response, action: str, address: str) -> None:
        self._response = response
        self._events = _read_events(response, action, address)

    def __next__(self) -> Json:
        return next(self._events)

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._response.close()  # a stream that nobody reads any more would keep the model busy


def _read_events(response: httpx.Response, action: str, address: str) -> Iterator[Json]:
    decoder = EventDecoder(action)
    with explained(action, address):
        for data in response.iter_bytes():
            yield from decoder.feed(data)


class Session:
    """Connections to one server. May be used by several threads."""

    def __init__(self, base_url: str | None, api_key: str | None) -> None:
        self.address = server_address(base_url)
        with explained("connect", self.address):
            transport = httpx.HTTPTransport(**transport_options(self.address))
            self._http = httpx.Client(base_url=self.address, transport=transport)
        try:
            self.asks_for_key = self._asks_for_key()
            self._http.headers.update(key_headers(api_key, self.asks_for_key))
        except BaseException:
            self._http.close()
            raise

    def _asks_for_key(self) -> bool:
        try:
            return self.send(calls.ask_auth())
        except ClientError as error:
            if error.status == NOT_FOUND:  # an older server that knows no keys
                return False
            raise

    def log_in(self, username: str, password: str) -> None:
        if self.asks_for_key:
            self._http.headers.update(key_headers(self.send(key_calls.login(username, password)), True))

    def send(self, call: Call[T]) -> T:
        with explained(call.action, self.address):
            response = self._http.send(self._http.build_request(**request_options(call)))
        return decode_answer(call, response.status_code, response.content)

    def stream(self, call: Call[Any]) -> EventStream:
        with explained(call.action, self.address):
            response = self._http.send(self._http.build_request(**request_options(call)), stream=True)
            if response.is_success:
                return EventStream(response, call.action, self.address)
            with closing(response):
                content = response.read()
        raise failure_of(call.action, response.status_code, content)

    def infer(self, call: Call[Json]) -> Json | EventStream:
        return self.stream(call) if call.streams else self.send(call)

    def close(self) -> None:
        self._http.close()


def _method(make: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._session.send(make(*args, **kwargs))

    dress(method, make)
    return method


class GenerateModelHandle:
    """A running model that continues texts. Its connections belong to its client."""

    def __init__(self, model_uid: str, session: Session) -> None:
        self.model_uid = model_uid
        self._session = session

    def generate(self, prompt: Any, generate_config: Json | None = None) -> Json | EventStream:
        """A completion, or its events when generate_config has `stream`."""
        return self._session.infer(calls.generate(self.model_uid, prompt, generate_config))

    def close(self) -> None:
        """Nothing to give back; here because programs written for Xinference call it."""


class ChatModelHandle(GenerateModelHandle):
    """A running model that chats (and continues texts)."""

    def chat(
        self,
        messages: list[Json],
        tools: list[Json] | None = None,
        enable_thinking: bool | None = None,
        generate_config: Json | None = None,
    ) -> Json | EventStream:
        """A chat completion, or its events when generate_config has `stream`."""
        return self._session.infer(calls.chat(self.model_uid, messages, tools, enable_thinking, generate_config))


class Client:
    """A server, seen from a program. Every failure is a ClientError (a RuntimeError).

    base_url: defaults to ENGINEHOUSE_ENDPOINT, else http://127.0.0.1:9997. api_key: sent only when the server
    asks for one; defaults to ENGINEHOUSE_API_KEY. The constructor asks it, so it raises ServerUnreachable when
    no server answers.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self._session = Session(base_url, client_key(api_key))

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

    def get_model(self, model_uid: str) -> GenerateModelHandle:
        """A handle of a running model: ChatModelHandle when it can chat. Raises ValueError when none suits."""
        kind = handle_kind(model_uid, self.describe_model(model_uid))
        return {"chat": ChatModelHandle, "generate": GenerateModelHandle}[kind](model_uid, self._session)

    def login(self, username: str, password: str) -> None:
        """For programs written for Xinference: the password is a key, the name anything."""
        self._session.log_in(username, password)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
