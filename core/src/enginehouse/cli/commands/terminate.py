"""`enginehouse terminate`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..failures import Refused


@click.command()
@click.option("-u", "--model-uid", "named", multiple=True, metavar="UID", help="Model to stop; may be repeated.")
@click.argument("uids", nargs=-1, metavar="[UID]...")
@server_options
def command(named: tuple[str, ...], uids: tuple[str, ...], endpoint: str | None, api_key: str | None) -> None:
    """Stop models. What they are answering may end first."""
    from ...client import ClientError, ServerUnreachable

    wanted = (*named, *uids)
    if not wanted:
        raise click.UsageError("Say which model to stop; `enginehouse list` shows them.")
    failed = 0
    with connected(endpoint, api_key) as client:
        for uid in wanted:
            try:
                client.terminate_model(uid)
                click.echo(f"Terminated {uid}.", err=True)
            except ServerUnreachable:
                raise
            except ClientError as error:
                failed += 1
                click.echo(f"Could not terminate {uid}: {error.detail}", err=True)
    if failed:
        raise Refused(f"{failed} of {len(wanted)} models were not terminated.")
