"""`enginehouse inspect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..tables import json_option, print_json


@click.command()
@click.argument("place", metavar="PATH_OR_ID")
@click.option(
    "-n", "--model-name", help="Name to register it by.  [default: the folder's, file's or repository's name]"
)
@click.option("--model-family", help="Known family to take the chat part from, where the files have none.")
@json_option
@server_options
def command(
    place: str,
    model_name: str | None,
    model_family: str | None,
    as_json: bool,
    endpoint: str | None,
    api_key: str | None,
) -> None:
    """Draft a registration of weights: a folder, a GGUF file, or a hub's id.

    What lies here is read without a server; for anything else the server is asked. The registration is printed
    as JSON: `enginehouse inspect DIR | enginehouse register -f - --persist`.
    """
    if Path(place).exists():
        draft = _read_here(str(Path(place).absolute()), model_family)
    else:
        with connected(endpoint, api_key) as client:
            draft = client.inspect_model(place, model_family)
    print_json({**draft, "model_name": model_name or draft["model_name"]})
    if sys.stdout.isatty() and not as_json:
        click.echo("Register it with `enginehouse register`.", err=True)


def _read_here(path: str, family: str | None) -> dict[str, Any]:
    from ...host.inspection import inspect_path
    from ...sdk import EnginehouseError

    try:
        return inspect_path(path, family)
    except EnginehouseError as error:
        raise Refused(error.message) from error
