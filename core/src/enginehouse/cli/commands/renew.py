"""`enginehouse renew`."""

from __future__ import annotations

import click

from ..completing import complete_uids
from ..connection import connected, server_options
from ..tables import json_option, print_json


@click.command()
@click.argument("uid", shell_complete=complete_uids)
@json_option
@server_options
def command(uid: str, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Give a model new workers, one replica after the other, without losing a request.

    Each is started beside the former one, must answer a small request, and takes over; then the former one ends what it
    is answering. When one does not come up the former one serves on.
    """
    with connected(endpoint, api_key) as client:
        renewed = client.renew_model(uid)
    if as_json:
        print_json(renewed)
    click.echo(f"{uid} has new workers.", err=True)
