"""`enginehouse plugins`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import connected, server_options
from ..failures import Refused, Unreachable
from ..local import load_local
from ..tables import Column, print_json, print_table

COLUMNS = (
    Column("NAME"),
    Column("VERSION"),
    Column("STATE"),
    Column("CONTRIBUTES", folds=True),
    Column("IMPORT"),
    Column("REASON", folds=True),
)
NAMES_SHOWN = 10


@click.command()
@click.option("--local", is_flag=True, help="Load the plugins here instead of asking the server.")
@click.option("-v", "--verbose", is_flag=True, help="Show the tracebacks of plugins that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as GET /v1/plugins.")
@server_options
def command(local: bool, verbose: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the plugins and what became of each."""
    records = local_records() if local else _server_records(endpoint, api_key)
    if as_json:
        print_json({"plugins": records})
        return
    print_table(COLUMNS, [row_of(record) for record in records])
    for record in records if verbose else ():
        if record.get("traceback"):
            click.echo(f"\n{record['name']}:\n{record['traceback']}")


def local_records() -> list[dict[str, Any]]:
    """Records of the plugins installed here, from importing them into this process."""
    import msgspec

    from ...host.settings import settings_from
    from ...sdk import EnginehouseError

    try:
        settings = settings_from()
    except EnginehouseError as error:
        raise Refused(error.message) from error
    return [msgspec.to_builtins(record) for record in load_local(settings).records]


def _server_records(endpoint: str | None, api_key: str | None) -> list[dict[str, Any]]:
    try:
        with connected(endpoint, api_key) as client:
            return client.list_plugins()
    except Unreachable:
        click.echo("No server answers; these are the plugins installed here (--local).", err=True)
        return local_records()


def row_of(record: dict[str, Any]) -> tuple[object, ...]:
    contributes = [_say(kind, names) for kind, names in (record.get("contributes") or {}).items()]
    seconds = record.get("import_seconds")
    return (
        record["name"],
        record.get("version"),
        record["state"],
        "; ".join(contributes),
        None if seconds is None else f"{seconds * 1000:.0f} ms",
        record.get("reason"),
    )


def _say(kind: str, names: list[str]) -> str:
    """The names, or how many there are when they would fill the screen."""
    return f"{kind}: {len(names)}" if len(names) > NAMES_SHOWN else f"{kind}: {', '.join(names)}"
