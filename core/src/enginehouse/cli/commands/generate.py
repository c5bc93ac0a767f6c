"""`enginehouse generate`."""

from __future__ import annotations

from typing import Any

import click

from ..connection import connected
from ..dialogue import run_dialogue, show_answer, target_of
from ..failures import Refused
from .chat import generate_config, sampling_options


@click.command()
@click.argument("words", nargs=-1, metavar="[UID] [PROMPT]...")
@sampling_options
def command(words: tuple[str, ...], **given: Any) -> None:
    """Let a model continue a text: one prompt, or one after the other when none is given and a terminal is there."""
    from ...client import GenerateModelHandle

    uid, prompt = target_of(given["model_uid"], words)
    config = generate_config(given)
    with connected(given["endpoint"], given["api_key"]) as client:
        try:
            handle = client.get_model(uid)
        except ValueError as error:
            raise Refused(str(error)) from error
        if not isinstance(handle, GenerateModelHandle):
            raise Refused(f"Model {uid} does not continue texts.")
        run_dialogue(prompt, lambda text: _show(handle.generate(text, config), given["as_json"]))


def _show(answer: Any, as_json: bool) -> None:
    show_answer(answer, as_json)
