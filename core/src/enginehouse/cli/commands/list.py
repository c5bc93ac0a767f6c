"""`enginehouse list`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import connected, server_options
from ..tables import Column, print_json, print_table

COLUMNS = (
    Column("UID"),
    Column("NAME"),
    Column("TYPE"),
    Column("ENGINE"),
    Column("STATUS"),
    Column("REPLICAS"),
    Column("DEVICE"),
    Column("CONTEXT"),
    Column("ERROR", folds=True),
)


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@server_options
def command(as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the models, with those that load or have failed."""
    with connected(endpoint, api_key) as client:
        models = client.list_models(any_status=True)
    if as_json:
        print_json(list(models.values()))
    elif models:
        print_table(COLUMNS, [row_of(item) for item in models.values()])
    else:
        click.echo("No models are running. Launch one with `enginehouse launch`.", err=True)


def row_of(item: dict[str, Any]) -> tuple[object, ...]:
    return (
        item["id"],
        item.get("model_name"),
        item.get("model_type"),
        item.get("model_engine"),
        item.get("status", "READY"),
        item.get("replica"),
        _devices(item),
        item.get("context_length"),
        item.get("error"),
    )


def _devices(item: dict[str, Any]) -> str:
    return ",".join(map(str, item.get("devices") or item.get("accelerators") or ())) or "cpu"
