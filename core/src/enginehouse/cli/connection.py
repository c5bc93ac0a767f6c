"""The server that a command talks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .failures import Refused, Unreachable
from .logins import stored_key

if TYPE_CHECKING:
    from ..client import Client

C = TypeVar("C", bound=Callable[..., Any])


def server_options(command: C) -> C:
    """Adds --endpoint and --api-key."""
    key = click.option(
        "-ak",
        "--api-key",
        envvar="ENGINEHOUSE_API_KEY",
        show_envvar=True,
        help="Key, where the server asks for one.  [default: that of `enginehouse login`]",
    )
    endpoint = click.option(
        "-e",
        "--endpoint",
        envvar=["ENGINEHOUSE_ENDPOINT", "XINFERENCE_ENDPOINT"],
        show_envvar=True,
        help="Address of the server.  [default: http://127.0.0.1:9997]",
    )
    return endpoint(key(command))


@contextmanager
def connected(endpoint: str | None, api_key: str | None) -> Iterator[Client]:
    """A client; what it raises becomes one line for the user and an exit status."""
    from ..client import Client, ClientError, ServerUnreachable

    try:
        with Client(endpoint, api_key or stored_key(endpoint)) as client:
            yield client
    except ServerUnreachable as error:
        raise Unreachable(_sentence(error.detail)) from error
    except ClientError as error:
        raise Refused(_sentence(error.detail)) from error


def _sentence(text: str) -> str:
    """Begins with a capital, unless its first word is a name that is spelled as it is (`virtual_env_packages`)."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text
