"""`enginehouse certify`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..failures import Refused

if TYPE_CHECKING:
    from ...testing.certifying import Finding
    from ...testing.reports import Result

TERMINATED = 143  # as shells report a process that SIGTERM ended


@click.command()
@click.argument("plugin")
@click.option(
    "--model",
    "models",
    multiple=True,
    help="A model to check its engines with: the name of a family or a path of weights; `TYPE:` before it where it is "
    "no LLM. May be repeated.  [default: the smallest that is installed]",
)
@click.option("--engine", help="Check only this engine of the plugin.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="A launch option; may be repeated.")
@click.option(
    "--level",
    type=click.Choice(["bronze", "silver", "gold"]),
    default="gold",
    show_default=True,
    help="The highest level to check.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check, or this group; may be repeated.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the certificate here, a file or a folder such as the plugin's package.  [default: the home's "
    "certificates]",
)
@click.option("--no-certificate", is_flag=True, help="Write no certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print the certificate.")
@click.option("-v", "--verbose", is_flag=True, help="Show the checks that passed, too.")
def command(plugin: str, output: Path | None, no_certificate: bool, as_json: bool, verbose: bool, **given: Any) -> None:
    """Check a plugin against the contract. PLUGIN is its name, as `enginehouse plugins` shows it.

    Starts a server of its own with real workers, asks them, breaks them, and looks. Writes a certificate, which servers
    show beside the plugin. Exits with 1 when a check failed.
    """
    from ...host.certificates import FILE, FOLDER, sealed, write_certificate
    from ...host.settings import home_folder
    from ...sdk import EnginehouseError
    from ...testing.certifying import Order, certify

    signal.signal(signal.SIGTERM, _leave)
    _mount_home(home_folder())
    try:
        order = Order(plugin=plugin, options=_options(given.pop("options")), **given)
        finding = certify(order, lambda told: _tell(told, verbose))
        place = output / FILE if output and output.is_dir() else output
        file = place or home_folder() / FOLDER / f"{plugin}.json"
        if not no_certificate and finding.certificate.whole:
            write_certificate(finding.certificate, file)
    except EnginehouseError as error:
        raise Refused(error.message) from error
    except (OSError, AssertionError) as error:
        raise Refused(f"{plugin} could not be checked: {error}") from error
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(sealed(finding.certificate)), indent=2))
    _conclude(finding, None if no_certificate else file, in_part=bool(order.only or order.engine))


def _mount_home(home: Path) -> None:
    """Plugins that were installed into the home are looked at, too: here, and in every process that is started."""
    from ...host.plugin_shelf import Shelf

    shelf = Shelf(home)
    shelf.open()
    paths = [*map(str, shelf.sites()), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def _leave(number: int, frame: object) -> None:
    """Told to end, it ends the server that it started, too."""
    sys.exit(TERMINATED)


def _options(given: tuple[str, ...]) -> dict[str, object]:
    options: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE.", param_hint="--option")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            options[name.replace("-", "_")] = value
    return options


def _tell(told: Result | str, verbose: bool) -> None:
    if isinstance(told, str):
        click.echo(told, err=True)
    elif verbose or told.state != "passed":
        click.echo(told.tell(), err=True)


def _conclude(finding: Finding, file: Path | None, in_part: bool) -> None:
    certificate = finding.certificate
    unclear = sum(len(subject.unclear) for subject in certificate.subjects)
    level = (certificate.level or "no level") + (" in what was looked at" if in_part else "")
    counts = f"{certificate.passed} passed, {len(certificate.failed)} failed, {unclear} unclear"
    click.echo(f"{certificate.plugin} {certificate.version}: {level} ({counts})")
    if not certificate.whole:
        click.echo("Not every check was run, so no certificate was written.", err=True)
    elif file:
        click.echo(f"Certificate: {file}", err=True)
    if finding.failed:
        raise Refused(f"{len(finding.failed)} checks failed.")
