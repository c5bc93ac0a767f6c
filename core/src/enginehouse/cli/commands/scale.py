"""`enginehouse scale`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..completing import complete_uids
from ..connection import connected, server_options
from ..tables import json_option, print_json

if TYPE_CHECKING:
    from ...client import Client


@click.command()
@click.argument("uid", shell_complete=complete_uids)
@click.argument("replicas", type=click.IntRange(min=1), metavar="N")
@json_option
@server_options
def command(uid: str, replicas: int, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Give a model N replicas.

    Adds one after another, each ready before the next; takes away those with the highest numbers, which first
    finish what they are answering. To end a model use `enginehouse terminate`.
    """
    with connected(endpoint, api_key) as client:
        ids = sorted(int(replica["replica_id"]) for replica in client.list_model_replicas(uid))
        _scale(client, uid, ids, replicas)
        after = client.list_model_replicas(uid) if as_json else []
    if as_json:
        print_json(after)
    click.echo(f"{uid} has {replicas} replica{'' if replicas == 1 else 's'}.", err=True)


def _scale(client: Client, uid: str, ids: list[int], wanted: int) -> None:
    for _ in range(wanted - len(ids)):
        added = client.add_model_replica(uid)
        click.echo(f"Added replica {added['replica_id']}.", err=True)
    for replica_id in reversed(ids[wanted:]):
        client.terminate_model_replica(uid, replica_id)
        click.echo(f"Removed replica {replica_id}.", err=True)
