"""`enginehouse export`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..tables import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.  [default: YAML]")
@server_options
def command(as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Write down what is declared, as a file of models.

    Every model's launch, with the fields that were set. `enginehouse apply` takes the file. Variables of the
    environment are in it as they were given: keep the file as you keep them.
    """
    from ..models_file import write_yaml

    with connected(endpoint, api_key) as client:
        launches = [declared["launch"] for declared in client.list_declarations()]
    if as_json:
        print_json({"models": launches})
    else:
        click.echo(write_yaml(launches), nl=False)
