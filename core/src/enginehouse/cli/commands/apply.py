"""`enginehouse apply`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..connection import connected, server_options
from ..failures import Refused
from ..tables import json_option, print_json

if TYPE_CHECKING:
    from ..comparison import Step


@click.command()
@click.option("-f", "--file", type=click.Path(path_type=Path), required=True, help="File of models, YAML or JSON.")
@click.option("--prune", is_flag=True, help="End models that the file does not name.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until what is launched is ready.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before models are ended.")
@json_option
@server_options
def command(
    file: Path, prune: bool, wait: bool, yes: bool, as_json: bool, endpoint: str | None, api_key: str | None
) -> None:
    """Make what is declared as a file of models says.

    Launches what is missing; changes in place how many replicas and requests a model has and how long it may lie idle;
    launches again what differs otherwise or has failed; leaves the rest. What is launched again has its new workers
    beside the former ones where memory allows, so that no request is lost, and ends first where it does not. Prints
    first what it will do, and asks before it ends anything. Ends with 0 when all is as the file says, with 1 when a
    model was refused or did not come up; the others are seen to all the same.
    """
    from ..comparison import to_do
    from ..steps import as_data, await_all, do_steps, find_steps, show_steps

    with connected(endpoint, api_key) as client:
        steps = find_steps(client, file, prune)
        show_steps(steps, lambda line: click.echo(line, err=True))
        needed = to_do(steps)
        _check_agreed(needed, yes)
        launched, failed = do_steps(client, needed, wait)
        failed += await_all(client, launched) if wait else 0
    if as_json:
        print_json({"steps": [as_data(step) for step in needed], "launched": launched, "failed": failed})
    if failed:
        raise Refused(f"{failed} of {len(needed)} models are not as {file} says.")
    click.echo(f"All is as {file} says." if needed else f"Nothing to do: all is as {file} says.", err=True)


def _check_agreed(steps: list[Step], yes: bool) -> None:
    """Raises UsageError where nobody can be asked, Abort for a no."""
    ends = sum(step.kind in ("relaunch", "end") for step in steps)
    if yes or not ends:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{ends} models would be ended or launched again, and nobody is there to ask; give --yes."
        )
    click.confirm(f"End or launch again {ends} models?", abort=True, err=True)
