"""`enginehouse keys`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import home_keys
from ..connection import connected, server_options
from ..failures import Unreachable
from ..tables import Column, json_option, print_json, print_table

if TYPE_CHECKING:
    from ...client import Client

T = TypeVar("T")
COLUMNS = (
    Column("ID"),
    Column("NAME"),
    Column("ROLE"),
    Column("KEY"),
    Column("STATE"),
    Column("MODELS", folds=True),
    Column("REQUESTS/MIN"),
    Column("TOKENS/DAY"),
    Column("USED TODAY"),
    Column("EXPIRES"),
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_local = click.option("--local", is_flag=True, help="Keys of ENGINEHOUSE_HOME itself, while no server runs on it.")


@click.group()
def command() -> None:
    """Make, list and revoke keys. Needs an admin key where the server asks for keys.

    Where no server answers, works on the home of this machine: that is how the first admin key can be made.
    """


def read_duration(text: str) -> float:
    """ "30d", "12h", "90m", "45s" or "2w" as seconds. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no duration; write 30d, 12h or 90m.")
    return float(found.group(1)) * _UNITS[found.group(2)]


@command.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything; else the key is for inference.")
@click.option("-m", "--model", "models", multiple=True, metavar="UID", help="May use only this; * and ?; repeatable.")
@click.option("--no-models", is_flag=True, help="May only look: for a scraper of metrics.")
@click.option("--requests-per-minute", type=click.IntRange(min=1), help="More are refused with 429.")
@click.option("--tokens-per-day", type=click.IntRange(min=1), help="Read and generated, until midnight UTC.")
@click.option(
    "--expires", "expires_in", type=read_duration, metavar="30d", help="Ends after so long.  [default: never]"
)
@click.option("--json", "as_json", is_flag=True, help="Print everything about the key as JSON.")
@_local
@server_options
def create(
    name: str, admin: bool, models: tuple[str, ...], no_models: bool, as_json: bool, local: bool, **given: Any
) -> None:
    """Make a key. It alone is printed on stdout, and never shown again."""
    if no_models and models:
        raise click.UsageError("--no-models and --model exclude each other.")
    wish = {
        "name": name,
        "role": "admin" if admin else "user",
        "models": list(models) if models or no_models else None,
        **{key: given[key] for key in ("requests_per_minute", "tokens_per_day", "expires_in")},
    }
    made = _done(given, local, lambda client: client.create_key(**wish), lambda: home_keys.create(wish))
    if as_json:
        return print_json(made)
    click.echo(f"Made {made['role']} key {made['key_id']} ({made['name']}). It is shown only now:", err=True)
    click.echo(made["key"])


@command.command(name="list")
@click.option("--all", "any_state", is_flag=True, help="Also those that were revoked or have expired.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_local
@server_options
def list_keys(any_state: bool, as_json: bool, local: bool, **given: Any) -> None:
    """List the keys, with what was used of them."""
    found = _done(
        given, local, lambda client: client.list_keys(any_state=any_state), lambda: home_keys.list_all(any_state)
    )
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, [row_of(key) for key in found])
    else:
        click.echo("There are no keys. Make one with `enginehouse keys create NAME`.", err=True)


@command.command()
@click.argument("key_ids", nargs=-1, required=True, metavar="ID...")
@json_option
@_local
@server_options
def revoke(key_ids: tuple[str, ...], as_json: bool, local: bool, **given: Any) -> None:
    """End keys, from this moment on."""
    for key_id in key_ids:
        _done(given, local, partial(_revoke, key_id=key_id), partial(home_keys.revoke, key_id))
        click.echo(f"Revoked {key_id}.", err=True)
    if as_json:
        print_json({"revoked": key_ids})


def _revoke(client: Client, key_id: str) -> None:
    client.revoke_key(key_id)


def _done(given: dict[str, Any], local: bool, ask: Callable[[Client], T], here: Callable[[], T]) -> T:
    """By the server; by this process where none answers and none was named."""
    if local:
        return here()
    try:
        with connected(given["endpoint"], given["api_key"]) as client:
            return ask(client)
    except Unreachable:
        if given["endpoint"]:
            raise
        click.echo("No server answers; working on the home of this machine (--local).", err=True)
        return here()


def row_of(key: dict[str, Any]) -> tuple[object, ...]:
    expires = key.get("expires_ts")
    return (
        key["key_id"],
        key["name"],
        key["role"],
        f"{key['hint']}...",
        key["state"],
        ", ".join(key["models"]) or "none",
        key.get("requests_per_minute"),
        key.get("tokens_per_day"),
        key.get("tokens_today"),
        None if expires is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(expires)),
    )
