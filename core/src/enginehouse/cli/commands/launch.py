"""`enginehouse launch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..connection import connected, server_options
from ..launch_options import launch_options, read_engine_options, read_model_name
from ..launching import await_ready, launch_arguments, shown_progress
from ..tables import print_json

if TYPE_CHECKING:
    from ...client import Client


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, options_metavar="[NAME] [OPTIONS]"
)
@launch_options
@click.option("--no-wait", is_flag=True, help="Print the uid and end, while the model loads.")
@click.option("--json", "as_json", is_flag=True, help="Print the model as `list --json` does, not the uid alone.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    /,
    no_wait: bool,
    as_json: bool,
    endpoint: str | None,
    api_key: str | None,
    **given: Any,
) -> None:
    """Launch a model and wait until it is ready. The uid alone is printed on stdout.

    Any other `--key value` is an option of the engine.
    """
    extra = read_engine_options(context)
    given["model_name"] = read_model_name(given["model_name"], extra, given["model_path"])
    arguments = launch_arguments(given, extra.options)
    with connected(endpoint, api_key) as client:
        uid = client.launch_model(**arguments, wait_ready=False)
        if not no_wait:
            _wait(client, uid)
        if as_json:
            return print_json(client.describe_model(uid, any_status=True))
    click.echo(uid)


def _wait(client: Client, uid: str) -> None:
    try:
        with shown_progress(uid) as show:
            await_ready(client, uid, show)
    except KeyboardInterrupt:
        click.echo(f"Cancelling the launch of {uid}.", err=True)
        client.cancel_launch_model(uid)
        raise
