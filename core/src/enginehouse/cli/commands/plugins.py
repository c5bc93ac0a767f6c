"""`enginehouse plugins`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..connection import connected, server_options
from ..examinations import lines_of_examination, lines_of_plugin, spell_certificate
from ..failures import Refused, Unreachable
from ..local import load_local
from ..tables import Column, json_option, print_json, print_table

if TYPE_CHECKING:
    from ...client import Client

C = TypeVar("C", bound=Callable[..., Any])

COLUMNS = (
    Column("NAME"),
    Column("VERSION"),
    Column("STATE"),
    Column("FROM"),
    Column("CERTIFICATE"),
    Column("CONTRIBUTES", folds=True),
    Column("IMPORT"),
    Column("REASON", folds=True),
)
NAMES_SHOWN = 10


_LIST = (
    click.option("--local", is_flag=True, help="Load the plugins here instead of asking the server."),
    click.option("-v", "--verbose", is_flag=True, help="Show the tracebacks of plugins that failed."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON, as GET /v1/plugins."),
    server_options,
)
_INDEXES = (
    click.option("--index-url", metavar="URL", help="Index to ask, in place of the server's."),
    click.option("--extra-index-url", multiple=True, metavar="URL", help="Index to ask, too; repeatable."),
    click.option("--find-links", multiple=True, metavar="PLACE", help="Folder or page with packages; repeatable."),
    click.option("--no-index", is_flag=True, help="Ask no index: only what --find-links names."),
)
_home = click.option("--local", is_flag=True, help="On the home of this machine, while no server runs on it.")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def _options(options: Sequence[Callable[[C], C]]) -> Callable[[C], C]:
    """Several options, in this order."""
    return lambda command: reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@click.group(invoke_without_command=True)
@_options(_LIST)
@click.pass_context
def command(context: click.Context, /, local: bool, verbose: bool, as_json: bool, **given: Any) -> None:
    """List plugins, install, upgrade, remove, block them, while the server serves.

    Without a command, lists the plugins and what became of each.
    """
    if context.invoked_subcommand is None:
        return _list(local, verbose, as_json, given)
    told = {key: value for key, value in given.items() if value is not None}
    context.default_map = {context.invoked_subcommand: told}  # said before the command, it holds for the command


@command.command(name="list")
@_options(_LIST)
def list_plugins(local: bool, verbose: bool, as_json: bool, **given: Any) -> None:
    """List the plugins and what became of each."""
    _list(local, verbose, as_json, given)


@command.command()
@click.argument("name")
@json_option
@server_options
def show(name: str, as_json: bool, **given: Any) -> None:
    """Say all about a plugin: where it is from, what it brings and needs, which models stand on it."""
    with connected(given["endpoint"], given["api_key"]) as client:
        details = client.describe_plugin(name)
    if as_json:
        return print_json(details)
    for line in lines_of_plugin(details):
        click.echo(line)


@command.command()
@click.argument("source")
@_options(_INDEXES)
@_yes
@json_option
@server_options
def install(source: str, yes: bool, as_json: bool, **given: Any) -> None:
    """Install a plugin into the running server.

    SOURCE is a package's name or requirement, or the path of a wheel or a source tree on the server's machine. What it
    contributes and asks for is shown first, and asked about. To look at it, its code is built and run in a process of
    its own: name only what you would run.
    """
    with connected(given["endpoint"], given["api_key"]) as client:
        shown = _examined(client, source, given, yes)
        records = client.install_plugin(shown["digest"])
    _tell(f"Installed {shown['distribution']} {shown['version']}.", records, as_json)


@command.command()
@click.argument("name")
@click.argument("source", required=False)
@_options(_INDEXES)
@_yes
@json_option
@server_options
def upgrade(name: str, source: str | None, yes: bool, as_json: bool, **given: Any) -> None:
    """Replace an installed plugin by another version: the newest of its package, or SOURCE.

    New workers of every model that runs its code are started beside the former ones, must answer a request, and take
    over; no request fails. When one does not come up, all stays as it was.
    """
    with connected(given["endpoint"], given["api_key"]) as client:
        installed = client.describe_plugin(name)
        if not installed["folder"]:  # pip's: refused in the server's words, before anything is fetched
            client.upgrade_plugin(name, digest="none")
        shown = _examined(client, source or installed["distribution"], given, yes)
        records = client.upgrade_plugin(name, shown["digest"])
    _tell(f"Upgraded {shown['distribution']} to {shown['version']}.", records, as_json)


@command.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="End the models that stand on it.")
@_yes
@json_option
@server_options
def remove(name: str, force: bool, yes: bool, as_json: bool, **given: Any) -> None:
    """Remove a plugin that was installed with `install`, with every file of it."""
    with connected(given["endpoint"], given["api_key"]) as client:
        if force and not yes:
            used = client.describe_plugin(name)["used_by"]
            told = f" This ends {', '.join(used)}." if used else ""
            click.confirm(f"Remove {name}?{told}", abort=True, err=True)
        ended = client.remove_plugin(name, force=force)
    click.echo(f"Removed {name}." + (f" Ended {', '.join(ended)}." if ended else ""), err=True)
    if as_json:
        print_json({"ended": ended})


@command.command()
@click.argument("name")
@json_option
@_home
@server_options
def block(name: str, as_json: bool, local: bool, **given: Any) -> None:
    """Use nothing of a plugin from now on. Workers that run its code serve on until they end.

    Where no server answers, blocks it for the next one on the home of this machine.
    """
    record = _blocking(given, local, lambda client: client.block_plugin(name), partial(_home_block, name))
    if record is None:
        return click.echo(f"{name} will not be loaded by the next server.", err=True)
    _tell(f"Blocked {name}.", [record], as_json)


@command.command()
@click.argument("name")
@json_option
@_home
@server_options
def unblock(name: str, as_json: bool, local: bool, **given: Any) -> None:
    """Load a plugin again that was blocked.

    Where no server answers, takes it off the block list of the home of this machine.
    """
    record = _blocking(given, local, lambda client: client.unblock_plugin(name), partial(_home_unblock, name))
    if record is None:
        return click.echo(f"{name} will be loaded by the next server.", err=True)
    _tell(f"Unblocked {name}: {record['state']}. {record.get('reason') or ''}".rstrip(), [record], as_json)


def _list(local: bool, verbose: bool, as_json: bool, given: dict[str, Any]) -> None:
    records = local_records() if local else _server_records(given["endpoint"], given["api_key"])
    if as_json:
        return print_json({"plugins": records})
    print_table(COLUMNS, [row_of(record) for record in records])
    for record in records if verbose else ():
        if record.get("traceback"):
            click.echo(f"\n{record['name']}:\n{record['traceback']}")


def _examined(client: Client, source: str, given: dict[str, Any], yes: bool) -> dict[str, Any]:
    """What installing would bring, once somebody has agreed to it."""
    links = [str(Path(link).absolute()) if Path(link).exists() else link for link in given["find_links"]]
    shown = client.examine_plugin(
        str(Path(source).absolute()) if _is_path(source) else source,
        index_url=given["index_url"],
        extra_index_url=list(given["extra_index_url"]),
        find_links=links,
        no_index=given["no_index"],
    )
    for line in lines_of_examination(shown):
        click.echo(line, err=True)
    if not yes:
        question = f"Upgrade from {shown['replaces']}?" if shown["replaces"] else "Install it?"
        click.confirm(question, abort=True, err=True)
    return shown


def _is_path(source: str) -> bool:
    """Whether it names a place here, and no package: a folder in the way that has a package's name is none."""
    spelled_as_path = "/" in source or source.startswith(".") or source.endswith((".whl", ".tar.gz", ".zip"))
    return spelled_as_path and "://" not in source and "@" not in source


def _blocking(
    given: dict[str, Any], local: bool, ask: Callable[[Client], dict[str, Any]], here: Callable[[Path], None]
) -> dict[str, Any] | None:
    """By the server; on the home itself, with None, where none answers and none was named."""
    if not local:
        try:
            with connected(given["endpoint"], given["api_key"]) as client:
                return ask(client)
        except Unreachable:
            if given["endpoint"]:
                raise
    _at_home(here)
    return None


def _at_home(here: Callable[[Path], None]) -> None:
    from ...host.settings import home_folder

    home = home_folder()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    here(home)


def _home_block(name: str, home: Path) -> None:
    from ...host import block_list

    block_list.block(name, home)


def _home_unblock(name: str, home: Path) -> None:
    from ...host import block_list

    block_list.unblock(name, home)


def _tell(what: str, records: list[dict[str, Any]], as_json: bool) -> None:
    click.echo(what, err=True)
    if as_json:
        print_json({"plugins": records})


def local_records() -> list[dict[str, Any]]:
    """Records of the plugins installed here, from importing them into this process."""
    from ...host.certificates import describe_records
    from ...host.settings import settings_from
    from ...sdk import EnginehouseError

    try:
        settings = settings_from()
    except EnginehouseError as error:
        raise Refused(error.message) from error
    return describe_records(load_local(settings).records, settings.home)


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
        "home" if record.get("folder") else None,
        spell_certificate(record.get("certificate")),
        "; ".join(contributes),
        None if seconds is None else f"{seconds * 1000:.0f} ms",
        record.get("reason"),
    )


def _say(kind: str, names: list[str]) -> str:
    """The names, or how many there are when they would fill the screen."""
    return f"{kind}: {len(names)}" if len(names) > NAMES_SHOWN else f"{kind}: {', '.join(names)}"
