"""The command `enginehouse`: which commands there are, and how they end.

Each command is a module of its own, imported only when it is called; the help of all of them is written from
the table here. Modules of commands import what is heavy (httpx, rich, the host) inside their functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

INTERRUPTED = 130  # as shells report a process that SIGINT ended
BROKEN_PIPE = 141  # likewise SIGPIPE: whoever read the output has gone

COMMANDS = {
    "serve": "Start a server.",
    "launch": "Launch a model and wait until it is ready.",
    "plan": "Say what a launch would do, and do nothing.",
    "engine": "List the engines, or which can run a model.",
    "cal-model-mem": "Calculate how much memory a model takes.",
    "list": "List the models, with those that load or have failed.",
    "events": "Say what happened to a model.",
    "logs": "Print what a worker of a model printed last.",
    "scale": "Give a model more or fewer replicas.",
    "renew": "Give a model new workers, without losing a request.",
    "terminate": "Stop models.",
    "export": "Write down what is declared, as a file of models.",
    "diff": "Say how a file of models differs from what is declared.",
    "apply": "Make what is declared as a file of models says.",
    "chat": "Chat with a model.",
    "generate": "Let a model continue a text.",
    "infer": "Ask a model for anything that it does.",
    "inspect": "Draft a registration from weights.",
    "convert": "Convert weights to another format.",
    "register": "Make a model of your own known.",
    "unregister": "Forget registrations.",
    "registrations": "List the models that can be launched.",
    "vllm-models": "List the models that vLLM can run.",
    "cached": "List downloaded weights.",
    "remove-cache": "Remove downloaded weights.",
    "env": "Look at environments, make, carry and remove them.",
    "bundle": "Carry a model's environment to a machine without an index.",
    "keys": "Make, list and revoke keys.",
    "login": "Keep a key for a server.",
    "plugins": "List plugins, install, upgrade, remove, block them.",
    "new-plugin": "Write a new plugin whose own tests pass.",
    "certify": "Check a plugin against the contract.",
    "doctor": "Check this machine and say what to do.",
    "stop-cluster": "Stop the server and all its models.",
    "completion": "Print what makes a shell complete commands.",
    "version": "Print the versions of what is installed.",
}


class LazyGroup(click.Group):
    """Commands from the table above."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__package__}.commands.{name.replace('-', '_')}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # caught here, before click makes it an error like any other
            _silence_output()
            return BROKEN_PIPE


def spell_with_dashes(name: str) -> str:
    """Options may be written as on the wire: --max_tokens is --max-tokens."""
    return name.replace("_", "-")


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": spell_with_dashes},
    epilog="Try: `enginehouse serve`, then `enginehouse launch stoker` and `enginehouse chat stoker`.",
)
@click.version_option(
    None, "-v", "--version", package_name="enginehouse-core", prog_name="enginehouse", message="%(prog)s %(version)s"
)
def enginehouse() -> None:
    """A model server whose every engine is a plugin."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process with its status."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        given = None if arguments is None else list(arguments)
        status: Any = enginehouse.main(given, prog_name="enginehouse", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _silence_output() -> None:
    """Lets the interpreter flush into nothing at its end, instead of complaining about the broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
