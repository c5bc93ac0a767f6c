"""Talking to a model: where prompts come from, and how answers are shown as they arrive."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from ..client import EventStream

Ask = Callable[[str], None]
"""Takes a prompt, and shows the answer."""


class Part(NamedTuple):
    """A piece of an answer; a whole answer is one piece."""

    text: str
    reasoning: str
    finish_reason: str | None


def part_of(event: dict[str, Any]) -> Part:
    """What a chat completion, a completion or one event of their streams says."""
    choice = (event.get("choices") or [{}])[0]
    body = choice.get("delta") or choice.get("message") or {}
    text = body.get("content") or choice.get("text") or ""
    return Part(text, body.get("reasoning_content") or "", choice.get("finish_reason"))


def show_answer(answer: dict[str, Any] | EventStream, as_json: bool) -> str:
    """Prints an answer, or the events of one, and returns its text (without reasoning)."""
    show = _show_json if as_json else _show_text
    if isinstance(answer, dict):
        return show([answer])
    with answer:
        return show(answer)


def _show_json(events: Iterable[dict[str, Any]]) -> str:
    text = ""
    for event in events:
        click.echo(json.dumps(event, ensure_ascii=False))
        text += part_of(event).text
    return text


def _show_text(events: Iterable[dict[str, Any]]) -> str:
    text, thinking, finish_reason = "", False, None
    try:
        for part in map(part_of, events):
            if part.reasoning:
                click.secho(part.reasoning, dim=True, err=True, nl=False)
                thinking = True
            if part.text:
                _say(part.text, after_thinking=thinking)
                text, thinking = text + part.text, False
            finish_reason = part.finish_reason or finish_reason
    finally:
        click.echo()
    if finish_reason == "length":
        click.echo("(The answer was cut: see --max-tokens.)", err=True)
    return text


def _say(text: str, *, after_thinking: bool) -> None:
    if after_thinking:
        click.echo("\n", err=True)
    click.echo(text, nl=False)


def target_of(model_uid: str | None, words: tuple[str, ...]) -> tuple[str, str | None]:
    """The model and the prompt: `MODEL PROMPT...`, or `-u MODEL PROMPT...`; None when no prompt is given."""
    rest = words if model_uid else words[1:]
    uid = model_uid or (words[0] if words else None)
    if not uid:
        raise click.UsageError("Say which model: --model-uid UID. `enginehouse list` shows them.")
    return uid, " ".join(rest) if rest else None


def run_dialogue(prompt: str | None, ask: Ask) -> None:
    """Asks the prompt; without one everything on stdin; on a terminal, one line after the other."""
    if prompt is not None:
        ask(prompt)
    elif sys.stdin.isatty():
        _converse(ask)
    else:
        text = sys.stdin.read().strip("\n")
        if not text:
            raise click.UsageError("There is no prompt: give one as an argument or on stdin.")
        ask(text)


def _converse(ask: Ask) -> None:
    from ..client import ClientError, ServerUnreachable

    click.echo("An empty line or Ctrl-D ends the conversation, Ctrl-C an answer.", err=True)
    for line in _typed_lines():
        try:
            ask(line)
        except KeyboardInterrupt:
            click.echo("(stopped)", err=True)
        except ServerUnreachable:
            raise
        except ClientError as error:
            click.echo(f"Error: {error.detail}", err=True)


def _typed_lines() -> Iterator[str]:
    import readline  # noqa: F401  line editing and history, for as long as the process lives

    while True:
        try:
            line = input("> ")
        except EOFError:
            click.echo(err=True)
            return
        if not line.strip():
            return
        yield line
