"""`enginehouse unregister`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..tables import json_option, print_json
from .register import TYPE


@click.command()
@TYPE
@click.option("-n", "--model-name", "named", multiple=True, metavar="NAME", help="Model to forget; may be repeated.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
@server_options
def command(
    model_type: str,
    named: tuple[str, ...],
    names: tuple[str, ...],
    as_json: bool,
    endpoint: str | None,
    api_key: str | None,
) -> None:
    """Forget registrations. What runs of them runs on."""
    wanted = (*named, *names)
    if not wanted:
        raise click.UsageError("Say which model to forget; `enginehouse registrations` shows them.")
    with connected(endpoint, api_key) as client:
        known = {one["model_name"].lower() for one in client.list_model_registrations(model_type)}
        for name in wanted:
            if name.lower() not in known:
                raise Refused(
                    f"There is no registration {name!r} of type {model_type}; "
                    f"`enginehouse registrations -t {model_type}` shows them."
                )
            client.unregister_model(model_type, name)
            click.echo(f"Unregistered {name}.", err=True)
    if as_json:
        print_json({"unregistered": wanted})
