"""`enginehouse events`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ..completing import complete_uids
from ..connection import connected, server_options

if TYPE_CHECKING:
    from ...client import Client

Json = dict[str, Any]

FOLLOW_SECONDS = 1.0  # people read no faster
_COLOURS = {"ERROR": "red", "WARNING": "yellow"}


@click.command()
@click.argument("uid", shell_complete=complete_uids)
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@server_options
def command(uid: str, follow: bool, as_json: bool, endpoint: str | None, api_key: str | None) -> None:
    """Say what happened to a model: its loads, restarts and failures, oldest first."""
    with connected(endpoint, api_key) as client:
        for event in _followed(client, uid) if follow else client.list_model_events(uid):
            _show(event, as_json)
        if not follow:
            client.describe_model(uid, any_status=True)  # there are no events of what does not exist, either


def _followed(client: Client, uid: str) -> Iterator[Json]:
    seen: list[Json] = []
    while True:
        events = client.list_model_events(uid)
        yield from _without(events, seen)
        seen = events
        time.sleep(FOLLOW_SECONDS)


def _without(events: Iterable[Json], seen: list[Json]) -> Iterator[Json]:
    return (event for event in events if event not in seen)


def _show(event: Json, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(event, ensure_ascii=False))
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["event_ts"]))
    kind = click.style(f"{event['event_type']:<7}", fg=_COLOURS.get(event["event_type"]))
    click.echo(f"{when}  {kind}  {event['event_content']}")
