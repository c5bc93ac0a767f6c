"""How the client talks to a server, the same for both faces: addresses, waits, sockets, and what failures mean."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import httpx

from .call import Call, Part
from .errors import ClientError, ServerUnreachable

ENDPOINT_VARIABLES = ("ENGINEHOUSE_ENDPOINT", "XINFERENCE_ENDPOINT")
DEFAULT_ADDRESS = "http://127.0.0.1:9997"
CONNECT_SECONDS = 5.0  # a machine on the same continent answers a SYN in a fraction of this, a lost packet included
NOT_FOUND = 404

MODEL_TYPES = ("embedding", "rerank", "image", "video", "audio")
_FILE_TYPE = "application/octet-stream"

_KEEPALIVE_IDLE_SECONDS = 60  # with the next two: a peer that vanished is noticed after a minute and a half
_KEEPALIVE_INTERVAL_SECONDS = 10
_KEEPALIVE_PROBES = 3


def server_address(base_url: str | None) -> str:
    """The address without a trailing slash, http unless said.

    As given, else ENGINEHOUSE_ENDPOINT, else XINFERENCE_ENDPOINT, else the default.
    """
    named = next(filter(None, map(os.environ.get, ENDPOINT_VARIABLES)), None)
    address = (base_url or named or DEFAULT_ADDRESS).strip().rstrip("/")
    return address if "://" in address else f"http://{address}"


def transport_options(address: str) -> dict[str, Any]:
    """Arguments of httpx's transports. Certificates are loaded (40 ms) only where they are looked at.

    A transport of our own also leaves the environment's proxies out: no proxy reaches a loopback address.
    """
    return {"verify": address.startswith("https:"), "socket_options": _socket_options()}


def _socket_options() -> list[tuple[int, int, int]]:
    """No Nagle delay between the two writes of a request; keep-alive, since a launch or an answer may take long."""
    wanted = (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_SECONDS),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_SECONDS),
        ("TCP_KEEPCNT", _KEEPALIVE_PROBES),
    )
    timing = [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in wanted if hasattr(socket, name)]
    return [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *timing]


def request_options(call: Call[Any]) -> dict[str, Any]:
    """Arguments of httpx's `build_request`."""
    timeout = httpx.Timeout(CONNECT_SECONDS, read=call.read_seconds, pool=None)
    options = {"method": call.method, "url": call.path, "params": call.query or None, "timeout": timeout}
    if call.parts:
        return {**options, "files": [(part.name, _form_part(part)) for part in call.parts]}
    return options if call.body is None else {**options, "json": call.body}


def _form_part(part: Part) -> tuple[Any, ...]:
    """As httpx takes it: only a file has a type."""
    return (None, part.content) if part.filename is None else (part.filename, part.content, _FILE_TYPE)


def client_key(api_key: str | None) -> str | None:
    """The key as given, else ENGINEHOUSE_API_KEY."""
    return api_key or os.environ.get("ENGINEHOUSE_API_KEY") or None


def key_headers(api_key: str | None, wanted: bool) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if wanted and api_key else {}


@contextmanager
def explained(action: str, address: str) -> Iterator[None]:
    """Turns httpx's exceptions into the client's."""
    try:
        yield
    except httpx.InvalidURL as error:
        raise ServerUnreachable(action, f"{address!r} is no address of a server ({error})") from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        detail = f"no server answers at {address} ({error or 'timed out'}). Start one with `enginehouse serve`."
        raise ServerUnreachable(action, detail) from error
    except httpx.ReadTimeout as error:
        raise ClientError(action, f"the server at {address} has not answered in time") from error
    except httpx.TransportError as error:
        raise ClientError(action, f"the connection to {address} was lost ({error or type(error).__name__})") from error


def handle_kind(model_uid: str, description: dict[str, Any], contributed: Iterable[str] = ()) -> str:
    """Which handle suits the model: chat, generate, or its type. contributed: types that plugins bring handles for.

    Raises ValueError when there is none.
    """
    model_type, abilities = description.get("model_type"), description.get("model_ability") or ()
    types = (*MODEL_TYPES, *contributed)
    kinds = ("chat", "generate") if model_type == "LLM" else types
    for kind in kinds:
        if kind in (abilities if model_type == "LLM" else (model_type,)):
            return kind
    raise ValueError(
        f"Model {model_uid!r} is of type {model_type} and can {', '.join(abilities) or 'nothing known'}; this client "
        f"has handles for LLMs that chat or generate, and for {', '.join(types)}. Install the plugin that brings its "
        "type beside the client, too."
    )


def dress(method: Callable[..., Any], make: Callable[..., Any], bound: int = 0) -> None:
    """Gives a method the name, documentation and parameters (self in front) of the function of its call.

    bound: how many of the function's parameters the method gives by itself.
    """
    method.__name__ = make.__name__
    method.__doc__ = make.__doc__
    own = signature(make)
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *[*own.parameters.values()][bound:]]
    shape = own.replace(parameters=parameters, return_annotation=Parameter.empty)
    method.__signature__ = shape  # type: ignore[attr-defined]
