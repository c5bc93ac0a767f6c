"""What a shell offers when a word of a command is begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..client import Client


def complete_uids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Uids of the server's models."""
    return _beginning(incomplete, _ask(context, lambda client: client.list_models(any_status=True)))


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of models that can be launched, of the type that the command names."""
    kind = str(context.params.get("model_type") or "LLM")
    known = _ask(context, lambda client: [item["model_name"] for item in client.list_model_registrations(kind)])
    return _beginning(incomplete, known)


def complete_engines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the server's engines."""
    return _beginning(incomplete, _ask(context, lambda client: [engine["name"] for engine in client.list_engines()]))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def _ask(context: click.Context, ask: Callable[[Client], Iterable[str]]) -> Iterable[str]:
    """Nothing where no server answers: completion is silent."""
    from ..client import Client, ClientError
    from .logins import stored_key

    endpoint, key = context.params.get("endpoint"), context.params.get("api_key")
    try:
        with Client(endpoint, key or stored_key(endpoint)) as client:
            return ask(client)
    except ClientError:
        return ()
