"""`enginehouse vllm-models`."""

from __future__ import annotations

import click

from ..connection import connected, server_options
from ..tables import Column, json_option, print_json, print_table


@click.command(name="vllm-models")
@json_option
@server_options
def command(as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the models that vLLM can run. For any other engine: `enginehouse engine -n MODEL`."""
    with connected(endpoint, api_key) as client:
        known = client.vllm_models()
    rows = sorted((name, ability) for ability, names in known.items() for name in names)
    if as_json:
        print_json(known)
    elif rows:
        print_table((Column("MODEL"), Column("FOR")), rows)
    else:
        click.echo("vLLM can run none of the known models.", err=True)
