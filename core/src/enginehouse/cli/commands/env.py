"""`enginehouse env`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..launch_options import launch_options, read_engine_options, read_model_name
from ..launching import launch_arguments
from ..sizes import spell_bytes
from ..tables import Column, json_option, print_json, print_table
from ..works import await_work

if TYPE_CHECKING:
    from ...client import Client

COLUMNS = (
    Column("DIGEST"),
    Column("ENGINE"),
    Column("PYTHON"),
    Column("PACKAGES"),
    Column("SIZE"),
    Column("OF ITS OWN"),
    Column("LAST USED"),
    Column("MODELS", folds=True),
)
SHORT = 12  # letters of a digest that people read
DIFFERS = 1  # exit status: an environment is not what was installed
_LAUNCH: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.group()
def command() -> None:
    """Look at environments of models, make them before they are needed, carry them away, clear up."""


@command.command(name="list")
@json_option
@server_options
def list_them(as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """List the environments that were made."""
    with connected(endpoint, api_key) as client:
        found = client.list_environments()
    if as_json:
        print_json(found)
    elif found:
        print_table(COLUMNS, [_row(one) for one in found])
    else:
        click.echo("No environment was made: models run in the server's own.", err=True)


@command.command()
@click.argument("digest")
@json_option
@server_options
def show(digest: str, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Show an environment and every package in it. DIGEST may be the beginning of one."""
    with connected(endpoint, api_key) as client:
        found = client.get_environment(digest)
    if as_json:
        return print_json(found)
    facts = {name: found[name] for name in ("digest", "engine", "python", "platform", "accelerator", "path")}
    facts |= {"size": spell_bytes(found["size_bytes"]), "models": ", ".join(found["models"]) or "none"}
    print_table((Column("ENVIRONMENT"), Column("", folds=True)), list(facts.items()))
    click.echo()
    packages = found["lock"]["packages"]
    print_table((Column("PACKAGE"), Column("VERSION")), [(one["name"], one["version"]) for one in packages])


@command.command(context_settings=_LAUNCH, options_metavar="[NAME] [OPTIONS]")
@launch_options
@click.option("--upgrade", is_flag=True, help="Ask the indexes again, so that newer versions come in.")
@json_option
@server_options
@click.pass_context
def lock(context: click.Context, /, upgrade: bool, as_json: bool, **given: Any) -> None:
    """Resolve what a launch with these options needs, and install nothing."""
    found = _launched(context, given, lambda client, launch: client.lock_environment(upgrade=upgrade, **launch))
    if as_json:
        return print_json(found)
    packages = found["lock"]["packages"]
    print_table((Column("PACKAGE"), Column("VERSION")), [(one["name"], one["version"]) for one in packages])
    there = "is here" if found["exists"] else "is not made yet"
    click.echo(f"{len(packages)} packages; the environment {found['digest'][:SHORT]} {there}.", err=True)


@command.command(context_settings=_LAUNCH, options_metavar="[NAME] [OPTIONS]")
@launch_options
@json_option
@server_options
@click.pass_context
def build(context: click.Context, /, as_json: bool, **given: Any) -> None:
    """Make the environment that a launch with these options would run in."""
    made = _launched(context, given, lambda client, launch: client.build_environment(**launch))
    _tell(made, as_json)


@command.command()
@click.option("--keep-days", type=click.FloatRange(min=0), default=0.0, help="Keep what was used since then.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
@server_options
def gc(keep_days: float, dry_run: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Remove environments that no declared model and no worker uses, and nobody used in the last minute."""
    with connected(endpoint, api_key) as client:
        gone = client.collect_environments(keep_days, dry_run)
    if as_json:
        return print_json(gone)
    for digest in gone["environments"]:
        click.echo(digest)
    verb = "would go" if dry_run else "are gone"
    click.echo(f"{len(gone['environments'])} environments {verb}: {spell_bytes(gone['freed_bytes'])}.", err=True)


@command.command()
@click.argument("digest")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File to write.  [default: stdout]")
@server_options
def export(digest: str, output: str | None, endpoint: str | None, api_key: str | None) -> None:
    """Write an environment's lock down: packages, versions and hashes, and no index."""
    with connected(endpoint, api_key) as client:
        text = json.dumps(client.export_environment(digest), indent=2)
    if output:
        Path(output).write_text(f"{text}\n", "utf-8")
    else:
        click.echo(text)


@command.command(name="import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@json_option
@server_options
def import_file(file: Any, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Make the environment of a lock that `export` wrote, here or on another machine. `-` reads from stdin."""
    try:
        exported = json.load(file)
    except ValueError as error:
        raise Refused(f"{file.name} is no exported lock: {error}.") from error
    with connected(endpoint, api_key) as client:
        _tell(await_work(client, client.import_environment(exported)), as_json)


@command.command()
@click.argument("digest")
@json_option
@server_options
def verify(digest: str, as_json: bool, endpoint: str | None, api_key: str | None) -> int:
    """Compare every file with what was installed. Ends with status 1 when something differs."""
    with connected(endpoint, api_key) as client:
        found = await_work(client, client.verify_environment(digest))
    if as_json:
        print_json(found)
    elif found["differences"]:
        print_table((Column("FILE"), Column("IS")), [(one["file"], one["what"]) for one in found["differences"]])
    else:
        click.echo(f"{found['digest'][:SHORT]} is as it was installed.", err=True)
    return DIFFERS if found["differences"] else 0


def _launched(context: click.Context, given: dict[str, Any], begin: Callable[[Client, Any], Any]) -> dict[str, Any]:
    """The result of a work that a launch's options begin."""
    endpoint, api_key = given.pop("endpoint"), given.pop("api_key")
    extra = read_engine_options(context)
    given["model_name"] = read_model_name(given["model_name"], extra, given["model_path"])
    with connected(endpoint, api_key) as client:
        return await_work(client, begin(client, launch_arguments(given, extra.options)))


def _tell(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return print_json(made)
    click.echo(f"{made['packages']} packages, {spell_bytes(made['size_bytes'])}.", err=True)
    click.echo(made["digest"])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return (
        one["digest"][:SHORT],
        one["engine"],
        one["python"],
        one["packages"],
        spell_bytes(one["size_bytes"]),
        spell_bytes(one["own_bytes"]),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(one["used_ts"])),
        ", ".join(one["models"]) or "none",
    )
