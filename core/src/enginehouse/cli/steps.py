"""Steps from what is declared to what a file wants: found, shown, and done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .comparison import Running, Step, compare
from .failures import Refused
from .launching import await_ready, shown_progress
from .models_file import body_of, read_models

if TYPE_CHECKING:
    from ..client import Client

STARTING = ("CREATING", "LOADING")  # what has yet to come up is not changed before it has
BESIDE = ("READY", "ASLEEP", "UNLOADED")  # what gets its new workers before the former ones end
NO_ROOM = "no_room"  # the server's word
_MARKS = {"launch": "+", "relaunch": "~", "change": "~", "end": "-", "leave": " ", "same": " "}
_WORDS = {
    "launch": "launch",
    "relaunch": "launch again",
    "change": "change in place",
    "end": "end",
    "leave": "not in the file, left alone",
    "same": "as declared",
}


def find_steps(client: Client, file: Path, prune: bool) -> list[Step]:
    """Raises UsageError for a faulty file, ClientError."""
    wanted = read_models(file)
    declared = {each["model_uid"]: Running(each["status"], each["launch"]) for each in client.list_declarations()}
    return compare(wanted, declared, prune)


def show_steps(steps: Iterable[Step], write: Callable[[str], object]) -> None:
    """A line for each model, and one for each of its fields that changes."""
    for step in steps:
        for line in _lines(step):
            write(line)


def as_data(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    return {
        "step": step.kind,
        "model_uid": step.uid,
        "status": step.status or None,
        "changes": [change._asdict() for change in step.changes],
    }


def do_steps(client: Client, steps: list[Step], wait: bool) -> tuple[list[str], int]:
    """Does them all, one after the other, whatever becomes of each; uids that were launched, and how many failed.

    wait: until replicas that a change added are ready.
    """
    from ..client import ClientError, ServerUnreachable

    launched, failed = [], 0
    for step in steps:
        try:
            _do(client, step, wait)
        except Refused as error:
            failed += 1
            click.echo(error.message, err=True)
        except ServerUnreachable:
            raise
        except ClientError as error:
            failed += 1
            click.echo(f"{step.uid}: {error.detail}", err=True)
        else:
            launched += [step.uid] if step.kind in ("launch", "relaunch") else []
    return launched, failed


def await_all(client: Client, uids: list[str]) -> int:
    """Waits until each is ready; how many failed."""
    failed = 0
    for uid in uids:
        try:
            with shown_progress(uid) as show:
                await_ready(client, uid, show)
            click.echo(f"{uid}: ready", err=True)
        except Refused as error:
            failed += 1
            click.echo(error.message, err=True)
    return failed


def _do(client: Client, step: Step, wait: bool) -> None:
    if step.kind == "change":
        _change(client, step, wait)
    elif step.launch is not None:
        launch = body_of(step.launch)
        if step.kind == "relaunch":
            if step.status in BESIDE and _renewed(client, step.uid, launch):
                return
            client.plan_model(**launch)  # what cannot be launched must not end what runs
            client.terminate_model(step.uid)
        client.launch_model(**launch, wait_ready=False)
    else:
        client.terminate_model(step.uid)
        click.echo(f"{step.uid}: ended", err=True)


def _renewed(client: Client, uid: str, launch: dict[str, Any]) -> bool:
    """Whether it has new workers by that launch; not when there is no memory for them beside the former ones."""
    from ..client import ClientError

    try:
        client.renew_model(uid, **{name: value for name, value in launch.items() if name != "model_uid"})
    except ClientError as error:
        if error.code != NO_ROOM:
            raise
        click.echo(f"{uid}: two workers do not fit beside each other, so it ends first: {error.detail}", err=True)
        return False
    click.echo(f"{uid}: has new workers", err=True)
    return True


def _change(client: Client, step: Step, wait: bool) -> None:
    if step.status in STARTING:
        with shown_progress(step.uid) as show:
            await_ready(client, step.uid, show)
    client.change_model(step.uid, wait_ready=wait, **{change.field: change.then for change in step.changes})
    click.echo(f"{step.uid}: changed", err=True)


def _lines(step: Step) -> Iterator[str]:
    state = f" ({step.status.lower()})" if step.status else ""
    yield f"{_MARKS[step.kind]} {step.uid}: {_WORDS[step.kind]}{state}"
    for change in step.changes:
        yield f"    {change.field}: {_spell(change.now)} -> {_spell(change.then)}"


def _spell(value: Any) -> str:
    return "(not set)" if value is None else json.dumps(value, ensure_ascii=False)
