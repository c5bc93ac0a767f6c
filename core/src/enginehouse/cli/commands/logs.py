"""`enginehouse logs`."""

from __future__ import annotations

import json

import click

from ..completing import complete_uids
from ..connection import connected, server_options


@click.command()
@click.argument("uid", shell_complete=complete_uids)
@click.option("--replica", "replica_id", type=int, default=0, show_default=True, help="Which of its replicas.")
@click.option("-n", "--lines", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON string.")
@server_options
def command(uid: str, replica_id: int, lines: int, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Print what the worker of a model printed last."""
    with connected(endpoint, api_key) as client:
        for line in client.get_replica_logs(uid, replica_id, lines):
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else line)
