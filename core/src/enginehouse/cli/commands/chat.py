"""`enginehouse chat`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..completing import complete_uids
from ..connection import connected, server_options
from ..dialogue import run_dialogue, show_answer, target_of
from ..failures import Refused


def sampling_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that chat and generate have in common."""
    options = (
        click.option(
            "-u",
            "--model-uid",
            metavar="UID",
            shell_complete=complete_uids,
            help="Model to ask; may also be the first argument.",
        ),
        click.option(
            "--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Longest answer."
        ),
        click.option("--temperature", type=click.FloatRange(0, 2), help="0 is greedy.  [default: the model's]"),
        click.option("--stream", type=bool, default=None, help="Show the answer as it arrives.  [default: true]"),
        click.option("--json", "as_json", is_flag=True, help="Print the server's answer (or events) as JSON."),
        server_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


def generate_config(given: dict[str, Any]) -> dict[str, Any]:
    """What goes into the request, from the common options. JSON comes in one piece unless a stream is asked for."""
    stream = given["stream"] if given["stream"] is not None else not given["as_json"]
    config = {"max_tokens": given["max_tokens"], "stream": stream, "temperature": given["temperature"]}
    return {key: value for key, value in config.items() if value is not None}


@click.command()
@click.argument("words", nargs=-1, metavar="[UID] [PROMPT]...")
@click.option("--system", help="What the model is told first.")
@click.option("--enable-thinking/--disable-thinking", default=None, help="For models that can do both.")
@sampling_options
def command(words: tuple[str, ...], system: str | None, enable_thinking: bool | None, **given: Any) -> None:
    """Chat with a model: one prompt, or a conversation when none is given and a terminal is there.

    The answer goes to stdout, reasoning and all else to stderr.
    """
    from ...client import ChatModelHandle

    uid, prompt = target_of(given["model_uid"], words)
    config = generate_config(given)
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    with connected(given["endpoint"], given["api_key"]) as client:
        try:
            handle = client.get_model(uid)
        except ValueError as error:
            raise Refused(str(error)) from error
        if not isinstance(handle, ChatModelHandle):
            raise Refused(f"Model {uid} does not chat; try `enginehouse generate {uid}`.")

        def ask(text: str) -> None:
            turn = {"role": "user", "content": text}
            answer = handle.chat([*messages, turn], enable_thinking=enable_thinking, generate_config=config)
            reply = show_answer(answer, given["as_json"])
            messages.extend((turn, {"role": "assistant", "content": reply}))

        run_dialogue(prompt, ask)
