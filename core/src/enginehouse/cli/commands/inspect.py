"""`enginehouse inspect`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..failures import Refused
from ..tables import print_json


@click.command()
@click.argument("path", type=click.Path())
@click.option("-n", "--model-name", help="Name to register it by.  [default: the folder's or file's name]")
@click.option("--model-family", help="Known family to take the chat part from, where the files have none.")
def command(path: str, model_name: str | None, model_family: str | None) -> None:
    """Draft a registration of the weights at PATH: a folder, or a GGUF file. No server is needed.

    The registration is printed as JSON: `enginehouse inspect DIR | enginehouse register -f - --persist`.
    """
    from ...host.inspection import inspect_path
    from ...sdk import EnginehouseError

    try:
        draft = inspect_path(str(Path(path).absolute()), model_family, model_name)
    except EnginehouseError as error:
        raise Refused(error.message) from error
    print_json(draft)
    if sys.stdout.isatty():
        click.echo("Register it with `enginehouse register`.", err=True)
