"""`enginehouse new-plugin`."""

from __future__ import annotations

from pathlib import Path

import click

from ..failures import Refused

# As in `enginehouse.testing.new_plugins`, written out so that --help imports nothing.
KINDS = ("engine", "family", "launcher", "parser", "provisioner", "source", "cluster", "model-type")


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="engine", show_default=True, help="What it contributes.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder to write.  [default: NAME]")
def command(name: str, kind: str, output: Path | None) -> None:
    """Write a new plugin whose own tests pass. NAME is of small letters, digits and dashes.

    It is refused where an installed plugin has it.
    """
    import shlex

    from ...sdk import EnginehouseError
    from ...testing.new_plugins import write_plugin

    folder = output or Path(name)
    try:
        written = write_plugin(name, kind, folder)
    except EnginehouseError as error:
        raise Refused(error.message) from error
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error}.") from error
    for file in written:
        click.echo(file)
    click.echo(f"Next: cd {shlex.quote(str(folder))} && pip install --editable '.[testing]' && pytest", err=True)
