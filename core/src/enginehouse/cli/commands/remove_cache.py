"""`enginehouse remove-cache`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..sizes import spell_bytes
from ..tables import json_option, print_json


@click.command(name="remove-cache")
@click.option(
    "-n", "--model-version", "version", required=True, metavar="VERSION", help="As `enginehouse cached` says."
)
@click.option("--worker-ip", hidden=True, help="Accepted for Xinference's sake; there is one machine.")
@click.option("-y", "--yes", "--check", "sure", is_flag=True, help="Do not ask.")
@json_option
@server_options
def command(
    version: str, worker_ip: str | None, sure: bool, as_json: bool, endpoint: str | None, api_key: str | None
) -> None:
    """Remove downloaded weights. Weights that a model uses stay."""
    with connected(endpoint, api_key) as client:
        held = client.list_deletable_models(version, worker_ip)
        size = spell_bytes(held["bytes"])
        if not sure:
            for path in held["paths"]:
                click.echo(path, err=True)
            click.confirm(f"Remove these {len(held['paths'])} files, {size}?", abort=True, err=True)
        if not client.confirm_and_remove_model(version, worker_ip):
            raise Refused(f"{version} was not removed.")
    if as_json:
        print_json({**held, "removed": True})
    click.echo(f"Removed {version}, {size}.", err=True)
