"""`enginehouse infer`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..completing import complete_uids
from ..connection import connected, server_options
from ..failures import Refused
from ..values import read_literal

if TYPE_CHECKING:
    from ...client import Client

Json = dict[str, Any]


@click.command()
@click.argument("uid", shell_complete=complete_uids)
@click.argument("values", nargs=-1, metavar="[VALUE | NAME=VALUE]...")
@click.option("--task", help="What to ask for, where the model does several things.")
@click.option("--stream", is_flag=True, help="Print each value as it comes.")
@server_options
def command(
    uid: str, values: tuple[str, ...], task: str | None, stream: bool, endpoint: str | None, api_key: str | None
) -> None:
    """Ask a model for anything that it does: NAME=VALUE is a field of the request, a VALUE alone an argument in `args`.

    A value is JSON where it is some, else text; @FILE is the file itself.
    """
    body = {"model": uid, **_body(values)}
    with connected(endpoint, api_key) as client:
        route = _route(client, uid, task)
        answer = client.ask(route, {**body, "stream": True} if stream else body)
        for each in answer if stream else (answer,):
            click.echo(json.dumps(each, ensure_ascii=False))


def _route(client: Client, uid: str, task: str | None) -> str:
    can = list(client.describe_model(uid)["tasks"])
    if task is None and len(can) != 1:
        raise Refused(f"Model {uid} does several things: {', '.join(can) or 'none'}. Say which with --task.")
    wanted = task or can[0]
    routes = {each["name"]: str(each["route"]) for each in client.list_tasks()}
    if wanted not in can or wanted not in routes:
        raise Refused(f"Model {uid} does not do {wanted!r}; it does: {', '.join(can)}.")
    return routes[wanted]


def _body(values: Iterable[str]) -> Json:
    fields: Json = {}
    args = []
    for value in values:
        name, equals, text = value.partition("=")
        if equals and name.isidentifier():
            fields[name] = _read(text)
        else:
            args.append(_read(value))
    return {**fields, "args": args} if args else fields


def _read(text: str) -> Any:
    if not text.startswith("@"):
        return read_literal(text)
    try:
        content = Path(text[1:]).read_bytes()
    except OSError as error:
        raise Refused(f"{text[1:]} cannot be read: {error.strerror}.") from error
    kind = guess_type(text)[0] or "application/octet-stream"
    return f"data:{kind};base64,{b64encode(content).decode()}"
