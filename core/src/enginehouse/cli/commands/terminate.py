"""`enginehouse terminate`."""

from __future__ import annotations

import click

from ..completing import complete_uids
from ..connection import connected, server_options
from ..failures import Refused
from ..tables import json_option, print_json


@click.command()
@click.option("-u", "--model-uid", "named", multiple=True, metavar="UID", help="Model to stop; may be repeated.")
@click.argument("uids", nargs=-1, metavar="[UID]...", shell_complete=complete_uids)
@json_option
@server_options
def command(
    named: tuple[str, ...], uids: tuple[str, ...], as_json: bool, endpoint: str | None, api_key: str | None
) -> None:
    """Stop models. What they are answering may end first."""
    from ...client import ClientError, ServerUnreachable

    wanted = (*named, *uids)
    if not wanted:
        raise click.UsageError("Say which model to stop; `enginehouse list` shows them.")
    failed: dict[str, str] = {}
    with connected(endpoint, api_key) as client:
        for uid in wanted:
            try:
                client.terminate_model(uid)
                click.echo(f"Terminated {uid}.", err=True)
            except ServerUnreachable:
                raise
            except ClientError as error:
                failed[uid] = error.detail
                click.echo(f"Could not terminate {uid}: {error.detail}", err=True)
    if as_json:
        print_json({"terminated": [uid for uid in wanted if uid not in failed], "failed": failed})
    if failed:
        raise Refused(f"{len(failed)} of {len(wanted)} were not terminated.")
