"""`enginehouse doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from .. import findings
from ..findings import Finding
from ..local import load_local
from ..tables import Column, print_json, print_table

if TYPE_CHECKING:
    from ...host.settings import Settings

COLUMNS = (Column("CHECK"), Column("STATE"), Column("FOUND", folds=True), Column("WHAT TO DO", folds=True))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, /, as_json: bool) -> None:
    """Check this machine and say what to do. Ends with status 1 when something is broken.

    Looks at what ENGINEHOUSE_HOME and the other variables of `enginehouse serve` say.
    """
    report = findings.as_json(examine())
    if as_json:
        print_json(report)
    else:
        print_table(COLUMNS, [tuple(row.values()) for row in report["findings"]])
    context.exit(0 if report["ok"] else 1)


def examine() -> Iterator[Finding]:
    """All findings, the cheap ones first."""
    from ...host.settings import settings_from
    from ...sdk import EnginehouseError

    yield findings.check_python()
    try:
        settings = settings_from()
    except EnginehouseError as error:
        yield Finding("settings", "broken", error.message, "Fix the ENGINEHOUSE_* variable that it names.")
        return
    yield from _examine_machine(settings)
    yield from _examine_plugins(settings)


def _examine_machine(settings: Settings) -> Iterator[Finding]:
    yield findings.check_home(settings.home)
    yield findings.check_disk(settings.home)
    yield findings.check_sockets(settings.workers_folder)
    yield findings.check_files()
    yield findings.check_address(settings.host, settings.port)
    yield findings.check_gpus()


def _examine_plugins(settings: Settings) -> Iterator[Finding]:
    census = load_local(settings)
    yield from findings.check_plugins(census.records)
    yield from findings.check_engines(census)
    yield findings.check_environments(settings.home, census)
    yield findings.check_torch(gpus=shutil.which("nvidia-smi") is not None)
