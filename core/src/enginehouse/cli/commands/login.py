"""`enginehouse login`."""

from __future__ import annotations

import sys

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..logins import forget_key, keep_key
from ..tables import json_option, print_json


@click.command()
@click.option("--username", expose_value=False, hidden=True, help="Accepted for scripts; a key has its own name.")
@click.option("--password", hidden=True, help="The key, as scripts written for Xinference give it.")
@click.option("--forget", is_flag=True, help="Forget the key that is kept for the server.")
@json_option
@server_options
def command(forget: bool, password: str | None, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Keep a key for a server, so that no command needs --api-key. It is asked for, or read from stdin.

    The key goes into a file in ENGINEHOUSE_HOME that only you can read, after the server has taken it.
    """
    try:
        if forget:
            return _forget(endpoint, as_json)
        key = password or api_key or _asked()
        with connected(endpoint, key) as client:
            client.list_models()
        file = keep_key(endpoint, key)
    except OSError as error:
        raise Refused(f"The key cannot be kept: {error}. Fix the home's owner, or set ENGINEHOUSE_HOME.") from error
    if as_json:
        print_json({"file": str(file)})
    click.echo(f"The key is kept in {file}.", err=True)


def _forget(endpoint: str | None, as_json: bool) -> None:
    forgotten = forget_key(endpoint)
    if as_json:
        print_json({"forgotten": forgotten})
    click.echo("Forgotten." if forgotten else "There was no key for this server.", err=True)


def _asked() -> str:
    key: str = click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        raise click.UsageError("There is no key: give one with --api-key or on stdin.")
    return key.strip()
