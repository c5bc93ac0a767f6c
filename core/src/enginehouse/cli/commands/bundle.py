"""`enginehouse bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..connection import connected, server_options
from ..launch_options import launch_options, read_engine_options, read_model_name
from ..launching import launch_arguments
from ..sizes import spell_bytes
from ..tables import json_option, print_json
from ..works import await_work

NOT_READY = 1  # exit status: something is still to be done before the bundle's model gets its environment


@click.group()
def command() -> None:
    """Carry a model's environment to a machine without any package index, in one file."""


@command.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, options_metavar="[NAME] [OPTIONS]"
)
@launch_options
@click.option("-o", "--output", required=True, type=click.Path(), help="File to write, on the server's machine.")
@json_option
@server_options
@click.pass_context
def create(
    context: click.Context, /, output: str, as_json: bool, endpoint: str | None, api_key: str | None, **given: Any
) -> None:
    """Pack the lock, all wheels, plugins and the registration of a launch with these options. No weights."""
    extra = read_engine_options(context)
    given["model_name"] = read_model_name(given["model_name"], extra, given["model_path"])
    with connected(endpoint, api_key) as client:
        launch = launch_arguments(given, extra.options)
        made = await_work(client, client.create_bundle(str(Path(output).absolute()), **launch))
    if as_json:
        return print_json(made)
    click.echo(
        f"{made['packages']} packages and {len(made['plugins'])} plugins, {spell_bytes(made['size_bytes'])}.", err=True
    )
    if made["built"]:
        click.echo(f"Built from source, as wheels of this kind of machine: {', '.join(made['built'])}.", err=True)
    click.echo(made["path"])


@command.command()
@click.argument("file", type=click.Path())
@json_option
@server_options
def load(file: str, as_json: bool, endpoint: str | None, api_key: str | None) -> int:
    """Make a bundle's environment from the bundle alone. FILE is on the server's machine.

    Plugins are not installed: those that lack are named, and their wheels kept. Ends with status 1 while something is
    still to be done; loading again does no harm.
    """
    with connected(endpoint, api_key) as client:
        loaded = await_work(client, client.load_bundle(str(Path(file).absolute())))
    if as_json:
        print_json(loaded)
    else:
        for note in loaded["notes"]:
            click.echo(note, err=True)
        click.echo(loaded["digest"])
    return 0 if loaded["ready"] else NOT_READY
