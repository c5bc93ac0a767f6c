"""`enginehouse version`."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

import click

from ..tables import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Print the versions of what is installed: Enginehouse's parts, its plugins by name, and Python."""
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if _is_ours(dist.metadata["Name"])}
    versions = {**dict(sorted(found.items())), "Python": platform.python_version()}
    if as_json:
        return print_json(versions)
    for name, version in versions.items():
        click.echo(f"{name} {version}")


def _is_ours(name: str | None) -> bool:
    return (name or "").startswith("enginehouse")
