"""`enginehouse diff`."""

from __future__ import annotations

from pathlib import Path

import click

from ..connection import connected, server_options
from ..tables import print_json

DIFFERS = 4  # exit status: `enginehouse apply` would do something


@click.command()
@click.option("-f", "--file", type=click.Path(path_type=Path), required=True, help="File of models, YAML or JSON.")
@click.option("--prune", is_flag=True, help="Models that the file does not name shall end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@server_options
def command(file: Path, prune: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> int:
    """Say how a file of models differs from what is declared.

    Does nothing. Ends with 0 when `enginehouse apply` would do nothing either, with 4 when it would do something.
    """
    from ..comparison import to_do
    from ..steps import as_data, find_steps, show_steps

    with connected(endpoint, api_key) as client:
        steps = find_steps(client, file, prune)
    if as_json:
        print_json([as_data(step) for step in steps])
    else:
        show_steps(steps, click.echo)
    return DIFFERS if to_do(steps) else 0
