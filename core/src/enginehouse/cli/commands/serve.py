"""`enginehouse serve`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click

# The defaults are those of `enginehouse.host.settings.Settings`, written out so that --help imports nothing.


@click.command()
@click.option("-H", "--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 9997]")
@click.option(
    "--home", type=click.Path(file_okay=False), help="Folder of state, logs and workers.  [default: ~/.enginehouse]"
)
@click.option("--database", metavar="URL", help="SQLAlchemy URL of the state.  [default: SQLite in the home]")
@click.option("--cluster", metavar="NAME", help="Where new workers are started.  [default: local]")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    envvar="ENGINEHOUSE_LOG_LEVEL",
    show_default=True,
    help="The least that is worth a line.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"], case_sensitive=False),
    default="text",
    envvar="ENGINEHOUSE_LOG_FORMAT",
    show_default=True,
    help="json: an object a line; the workers' logs, too.",
)
@click.option("--lease-seconds", type=float, help="Workers live so long without a server.  [default: 600]")
@click.option("--drain-seconds", type=float, help="Running requests get so long to end.  [default: 30]")
@click.option("--launch-seconds", type=float, help="A worker gets so long to load.  [default: 3600]")
@click.option("--restart-limit", type=int, help="Failures in a row before a model is given up.  [default: 5]")
@click.option("--restart-seconds", type=float, help="First pause before a restart, then doubled.  [default: 1]")
@click.option("--body-bytes", type=int, help="Largest request body.  [default: 67108864]")
@click.option("--plugin-seconds", type=float, help="A plugin gets so long to be imported.  [default: 10]")
@click.option("--completions-done", is_flag=True, default=None, help="End /v1/completions streams with [DONE] too.")
@click.option("--require-key", is_flag=True, default=None, help="Every request needs a key, on loopback too.")
@click.option("--insecure", is_flag=True, default=None, help="No request needs a key, on any address.")
@click.option("--block", multiple=True, metavar="PLUGIN", help="Never import this plugin; may be repeated.")
@click.pass_context
def command(context: click.Context, /, log_level: str, log_format: str, block: tuple[str, ...], **given: Any) -> None:
    """Start a server. Every setting can also be given as ENGINEHOUSE_<NAME>."""
    import msgspec

    from ...host.settings import settings_from
    from ...sdk import BadRequest
    from ...sdk.logs import VARIABLE, begin_logging
    from ...server.serve import serve

    if given.get("home"):
        given["home"] = str(Path(given["home"]).expanduser().absolute())
    try:
        settings = settings_from(**given)
    except BadRequest as error:
        raise click.UsageError(error.message, context) from error
    settings = msgspec.structs.replace(settings, blocked=(*settings.blocked, *block))
    os.environ[VARIABLE] = log_format.lower()  # workers inherit it
    begin_logging(log_level.upper())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its start and stop are said in our own words
    context.exit(serve(settings))
