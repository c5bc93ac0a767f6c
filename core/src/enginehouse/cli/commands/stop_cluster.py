"""`enginehouse stop-cluster`."""

from __future__ import annotations

import sys

import click

from ..connection import connected, server_options
from ..tables import json_option, print_json


@click.command(name="stop-cluster")
@click.option("-y", "--yes", "--check", "sure", is_flag=True, help="Do not ask.")
@json_option
@server_options
def command(sure: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Stop the server and all its models. What they are answering may end first.

    What is declared comes back when the server is started again.
    """
    with connected(endpoint, api_key) as client:
        if not sure:
            _ask(client.base_url, len(client.list_models(any_status=True)))
        result = client.abort_cluster()
        if as_json:
            print_json(result)
        click.echo(f"The server at {client.base_url} is ending.", err=True)


def _ask(address: str, models: int) -> None:
    """Raises UsageError where nobody can be asked, Abort for a no."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask; give --yes.")
    click.confirm(f"End the server at {address} and its {models} models?", abort=True, err=True)
