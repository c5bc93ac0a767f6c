"""What a shell offers when a word of a command is begun."""

from __future__ import annotations

import click


def complete_uids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Uids of the server's models; none where no server answers."""
    from ..client import Client, ClientError
    from .logins import stored_key

    endpoint, key = context.params.get("endpoint"), context.params.get("api_key")
    try:
        with Client(endpoint, key or stored_key(endpoint)) as client:
            return [uid for uid in client.list_models(any_status=True) if uid.startswith(incomplete)]
    except ClientError:
        return []
