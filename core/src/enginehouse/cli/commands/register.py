"""`enginehouse register`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..tables import json_option, print_json

TYPE = click.option(
    "-t",
    "--model-type",
    default="LLM",
    show_default=True,
    help="LLM, embedding, rerank, image, audio, video, flexible, or another that a plugin brings.",
)


@click.command()
@TYPE
@click.option("-f", "--file", "named", metavar="FILE", help="The registration, in JSON; - reads it from stdin.")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("-p", "--persist", is_flag=True, help="Keep it over restarts of the server.")
@click.option("-w", "--worker-ip", help="Accepted for scripts; there is one machine.")
@json_option
@server_options
def command(
    model_type: str,
    named: str | None,
    file: str | None,
    persist: bool,
    worker_ip: str | None,
    as_json: bool,
    endpoint: str | None,
    api_key: str | None,
) -> None:
    """Make a model of your own known, from a JSON file. `enginehouse inspect` drafts one."""
    if (named is None) == (file is None):
        raise click.UsageError("Say which file to register, once.")
    text = _read(named or file or "")
    with connected(endpoint, api_key) as client:
        client.register_model(model_type, text, persist, worker_ip)
    if as_json:
        print_json({"model_type": model_type, "model_name": json.loads(text).get("model_name"), "persist": persist})
    click.echo("Registered." if persist else "Registered until the server ends; --persist keeps it.", err=True)


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read: {error}.") from error
