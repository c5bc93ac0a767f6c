"""`enginehouse version`."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

import click


@click.command()
def command() -> None:
    """Print the versions of what is installed: Enginehouse's parts, its plugins by name, and Python."""
    found = {dist.metadata["Name"]: dist.version for dist in distributions() if _is_ours(dist.metadata["Name"])}
    for name in sorted(found):
        click.echo(f"{name} {found[name]}")
    click.echo(f"Python {platform.python_version()}")


def _is_ours(name: str | None) -> bool:
    return (name or "").startswith("enginehouse")
