"""`enginehouse cached`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..sizes import spell_bytes
from ..tables import Column, print_json, print_table

COLUMNS = (Column("NAME"), Column("VERSION"), Column("SIZE"), Column("STATE"), Column("USED BY"), Column("PATH"))


@click.command()
@click.option("-n", "--model-name", metavar="NAME", help="Only the weights of this model.")
@click.option("--worker-ip", hidden=True, help="Accepted for Xinference's sake; there is one machine.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
def command(
    model_name: str | None, worker_ip: str | None, as_json: bool, endpoint: str | None, api_key: str | None
) -> None:
    """List downloaded weights with their bytes."""
    with connected(endpoint, api_key) as client:
        weights = client.list_cached_models(model_name, worker_ip)
    if as_json:
        print_json(weights)
    elif weights:
        print_table(COLUMNS, [_row(item) for item in weights])
        click.echo(f"{spell_bytes(sum(item['bytes'] for item in weights))} in all.", err=True)
    else:
        click.echo("No weights were downloaded.", err=True)


def _row(item: dict[str, object]) -> tuple[object, ...]:
    used = item["used_by"]
    return (
        item["model_name"],
        item["model_version"],
        spell_bytes(int(str(item["bytes"]))),
        "complete" if item["complete"] else "partial",
        ",".join(used) if isinstance(used, list) else None,
        item["path"],
    )
